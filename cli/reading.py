"""How the commands that read click logs are told how: options declared once, for all of them."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cli.options import option, stderr
from export.errors import ConfigError

if TYPE_CHECKING:
    from model.data.readers import ReadOptions, ReadReport

__all__ = ["Data", "read_options", "reads_logs", "say", "tell_read"]

FORMATS = "otto, yoochoose, diginetica, retailrocket, csv, parquet, jsonl"
PANEL = "How the log is read"
DELIMITERS = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}

Data = Annotated[Path, option("--data", help="Click log: a file, or a folder of files.")]


def _option(*names: str, **settings: Any) -> Any:
    return option(*names, rich_help_panel=PANEL, **settings)


def _declared(
    format: Annotated[str | None, _option("--format", help=f"{FORMATS} [told from the file].")] = None,
    session_column: Annotated[
        str | None, _option("--session-column", help="Name of the session column [session_id].")
    ] = None,
    item_column: Annotated[str | None, _option("--item-column", help="Name of the item column [item_id].")] = None,
    time_column: Annotated[
        str | None, _option("--time-column", help="Name of the time column [timestamp or ts].")
    ] = None,
    type_column: Annotated[
        str | None, _option("--type-column", help="Name of the column with the kind of event [type].")
    ] = None,
    type_map: Annotated[
        str | None,
        _option("--type-map", help="Kinds by the names the log has: view=click,purchase=order."),
    ] = None,
    time_unit: Annotated[str, _option("--time-unit", help="s, ms, us or ns: of times that are plain numbers.")] = "ms",
    delimiter: Annotated[
        str | None, _option("--delimiter", help="Between the columns of a CSV; tab for one [told from its header].")
    ] = None,
    no_header: Annotated[
        bool, _option("--no-header", help="The first line of a CSV is a click: columns are called 1, 2, 3 …")
    ] = False,
    encoding: Annotated[str | None, _option("--encoding", help="Of text: cp1252, utf-16 … [UTF-8].")] = None,
    max_bad_share: Annotated[
        float, _option("--max-bad-share", help="Refuse a log with a larger share of bad lines.")
    ] = 0.01,
    session_gap_minutes: Annotated[
        float | None,
        _option("--session-gap-minutes", help="Cut sessions at longer pauses [RetailRocket: 30, others: none]."),
    ] = None,
) -> None:
    """Hold the options: what `read_options` takes."""


def read_options(
    *,
    format: str | None,
    session_column: str | None,
    item_column: str | None,
    time_column: str | None,
    type_column: str | None,
    type_map: str | None,
    time_unit: str,
    delimiter: str | None,
    no_header: bool,
    encoding: str | None,
    max_bad_share: float,
    session_gap_minutes: float | None,
) -> "ReadOptions":
    """Return how a log is read, by the options of a command; ConfigError for one that can't be meant."""
    from model.data.readers import Columns, ReadOptions

    return ReadOptions(
        format=format,  # type: ignore[arg-type]  # checked there
        columns=Columns(session=session_column, item=item_column, ts=time_column, type=type_column),
        type_map=_pairs(type_map),
        ts_unit=time_unit,  # type: ignore[arg-type]  # checked there
        delimiter=DELIMITERS.get(delimiter, delimiter) if delimiter is not None else None,
        header=not no_header,
        encoding=encoding,
        max_bad_share=max_bad_share,
        session_gap_ms=None if session_gap_minutes is None else round(session_gap_minutes * 60_000),
    )


def reads_logs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading, in the place of its parameter `read`, which gets what they mean."""
    declared = list(inspect.signature(_declared).parameters.values())
    own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def reading(*args: Any, **kwargs: Any) -> None:
        chosen = {part.name: kwargs.pop(part.name, part.default) for part in declared}
        command(*args, read=read_options(**chosen), **kwargs)

    keywords = [p.replace(kind=p.KEYWORD_ONLY) for part in own for p in (declared if part.name == "read" else [part])]
    signature = inspect.Signature(keywords)
    reading.__signature__ = signature  # type: ignore[attr-defined]
    reading.__annotations__ = {part.name: part.annotation for part in keywords} | {"return": None}
    del reading.__wrapped__  # Typer would look there
    return reading


def say(text: str) -> None:
    """Print a line for people."""
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)


def tell_read(name: str, report: "ReadReport") -> None:
    """Say what was read of a log, with samples of bad lines."""
    for line in report.told(name):
        say(line)


def _pairs(text: str | None) -> dict[str, str]:
    """Return `view=click,purchase=order` as a mapping."""
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair.strip()]
    if wrong := [name for name, equals, kind in pairs if not equals or not name.strip() or not kind.strip()]:
        raise ConfigError(f"--type-map takes pairs such as view=click,purchase=order, not {wrong[0]!r}")
    return {name.strip(): kind.strip() for name, _, kind in pairs}
