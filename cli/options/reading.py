"""Options of the commands that read a click log: which one, and how it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cli.options.group import option
from export.errors import ConfigError

if TYPE_CHECKING:
    from model.data.readers import ReadOptions

__all__ = ["Data", "Reading"]

FORMATS = "otto, yoochoose, diginetica, retailrocket, csv, parquet, jsonl"
PANEL = "Reading the log"
DELIMITERS = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}

Data = Annotated[Path, option("--data", metavar="PATH", help="Click log: a file, or a folder of files.")]


def _option(name: str, metavar: str | None, help: str) -> Any:
    return option(name, metavar=metavar, help=help, rich_help_panel=PANEL)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a log is read."""

    format: Annotated[str | None, _option("--format", "NAME", f"{FORMATS} [told from the file].")] = None
    session_column: Annotated[
        str | None, _option("--session-column", "NAME", "Name of the session column [session_id].")
    ] = None
    item_column: Annotated[str | None, _option("--item-column", "NAME", "Name of the item column [item_id].")] = None
    time_column: Annotated[
        str | None, _option("--time-column", "NAME", "Name of the time column [timestamp or ts].")
    ] = None
    type_column: Annotated[
        str | None, _option("--type-column", "NAME", "Name of the column with the kind of event [type].")
    ] = None
    type_map: Annotated[
        str | None, _option("--type-map", "PAIRS", "Kinds by the log's names: view=click,purchase=order.")
    ] = None
    time_unit: Annotated[str, _option("--time-unit", "UNIT", "s, ms, us or ns: of times that are plain numbers.")] = (
        "ms"
    )
    delimiter: Annotated[
        str | None, _option("--delimiter", "CHAR", "Between the columns of a CSV; tab for one [told from its header].")
    ] = None
    no_header: Annotated[
        bool, _option("--no-header", None, "The first line of a CSV is a click: columns are called 1, 2, 3 …")
    ] = False
    encoding: Annotated[str | None, _option("--encoding", "NAME", "Of text: cp1252, utf-16 … [UTF-8].")] = None
    max_bad_share: Annotated[
        float, _option("--max-bad-share", "SHARE", "Refuse a log with a larger share of bad lines.")
    ] = 0.01
    session_gap_minutes: Annotated[
        float | None,
        _option("--session-gap-minutes", "N", "Cut sessions at longer pauses [RetailRocket: 30, others: none]."),
    ] = None

    def options(self) -> "ReadOptions":
        """How the log is read; ConfigError where a value is wrong."""
        from model.data.readers import Columns, ReadOptions

        gap = self.session_gap_minutes
        return ReadOptions(
            format=self.format,  # type: ignore[arg-type]  # checked there
            columns=Columns(
                session=self.session_column, item=self.item_column, ts=self.time_column, type=self.type_column
            ),
            type_map=_pairs(self.type_map),
            ts_unit=self.time_unit,  # type: ignore[arg-type]  # checked there
            delimiter=DELIMITERS.get(self.delimiter, self.delimiter) if self.delimiter is not None else None,
            header=not self.no_header,
            encoding=self.encoding,
            max_bad_share=self.max_bad_share,
            session_gap_ms=None if gap is None else round(gap * 60_000),
        )


def _pairs(text: str | None) -> dict[str, str]:
    """`view=click,purchase=order` as a mapping."""
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair.strip()]
    if wrong := [name for name, equals, kind in pairs if not equals or not name.strip() or not kind.strip()]:
        raise ConfigError(f"--type-map takes pairs such as view=click,purchase=order, not {wrong[0]!r}")
    return {name.strip(): kind.strip() for name, _, kind in pairs}
