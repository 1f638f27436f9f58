"""Options of the commands that read a click log: which one, and how it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cli.options.group import option

if TYPE_CHECKING:
    from model.data.readers import ReadOptions

__all__ = ["Data", "Reading", "WholeReading"]

FORMATS = "otto, yoochoose, diginetica, retailrocket, csv, parquet, jsonl"
PANEL = "Reading the log"

Data = Annotated[Path, option("--data", metavar="PATH", help="Click log: a file, or a folder of files.")]


@dataclass(frozen=True, kw_only=True)
class WholeReading:
    """How a log is read whose sessions stay as they are."""

    format: Annotated[
        str | None,
        option("--format", metavar="NAME", help=f"{FORMATS} [told from the file].", rich_help_panel=PANEL),
    ] = None
    session_column: Annotated[
        str, option("--session-column", metavar="NAME", help="Name of the session column.", rich_help_panel=PANEL)
    ] = "session_id"
    item_column: Annotated[
        str, option("--item-column", metavar="NAME", help="Name of the item column.", rich_help_panel=PANEL)
    ] = "item_id"
    time_column: Annotated[
        str | None,
        option(
            "--time-column", metavar="NAME", help="Name of the time column [timestamp or ts].", rich_help_panel=PANEL
        ),
    ] = None
    type_column: Annotated[
        str | None,
        option(
            "--type-column",
            metavar="NAME",
            help="Name of the column with the kind of event [type].",
            rich_help_panel=PANEL,
        ),
    ] = None
    time_unit: Annotated[
        str,
        option("--time-unit", metavar="UNIT", help="ms or s: of times that are plain numbers.", rich_help_panel=PANEL),
    ] = "ms"
    max_bad_share: Annotated[
        float,
        option(
            "--max-bad-share",
            metavar="SHARE",
            help="Refuse a log with a larger share of bad lines.",
            rich_help_panel=PANEL,
        ),
    ] = 0.01

    def gap_ms(self) -> int | None:
        """Milliseconds of silence that cut a session; 0: never, None: as the format has it."""
        return 0

    def options(self) -> "ReadOptions":
        """How the log is read; ConfigError where a value is wrong."""
        from model.data.readers import Columns, ReadOptions

        columns = Columns(
            session=self.session_column, item=self.item_column, ts=self.time_column, type=self.type_column
        )
        return ReadOptions(
            format=self.format,  # type: ignore[arg-type]  # checked there
            columns=columns,
            ts_unit=self.time_unit,  # type: ignore[arg-type]  # checked there
            max_bad_share=self.max_bad_share,
            session_gap_ms=self.gap_ms(),
        )


@dataclass(frozen=True, kw_only=True)
class Reading(WholeReading):
    """How a log is read, and where its sessions are cut."""

    session_gap_minutes: Annotated[
        float | None,
        option(
            "--session-gap-minutes",
            metavar="N",
            help="Cut sessions at longer pauses [RetailRocket: 30, others are not cut].",
            rich_help_panel=PANEL,
        ),
    ] = None

    def gap_ms(self) -> int | None:
        """As the option says, in milliseconds."""
        return None if self.session_gap_minutes is None else round(self.session_gap_minutes * 60_000)
