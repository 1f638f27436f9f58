"""How a click log is to be read."""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from export.errors import ConfigError
from model.data.readers.clean import KINDS, POSITIVES

__all__ = ["FORMATS", "Columns", "Format", "ReadOptions"]

Format = Literal["otto", "yoochoose", "diginetica", "retailrocket", "csv", "parquet", "jsonl"]
TimeUnit = Literal["ms", "s"]
FORMATS: tuple[Format, ...] = get_args(Format)
MAX_NAME_CHARS = 256  # of a column's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns of a CSV with a header, of a Parquet file, or of the members of JSON lines."""

    session: str = "session_id"
    item: str = "item_id"
    ts: str | None = None  # None: `timestamp` or `ts`, whichever the file has
    type: str | None = None  # None: `type` if the file has it, else every line is a click

    def __post_init__(self) -> None:
        """Raise ConfigError for a name that is empty or absurdly long."""
        for part in fields(self):
            name = getattr(self, part.name)
            if name is not None and not 0 < len(name) <= MAX_NAME_CHARS:
                raise ConfigError(f"the name of the {part.name} column must have 1 to {MAX_NAME_CHARS} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What `read_log` goes by."""

    format: Format | None = None  # None: told from the content of each file
    columns: Columns = field(default_factory=Columns)  # for `csv`, `parquet` and `jsonl` only
    kinds: frozenset[str] = POSITIVES  # the kinds of event kept, of `KINDS`; the others are counted and left out
    ts_unit: TimeUnit = "ms"  # of plain numbers in a ts column; ISO times and Parquet timestamps know theirs
    max_bad_share: float = 0.01  # more bad lines than this share of all are a fault of the file, not noise
    session_gap_ms: int | None = None  # cut a session at a longer gap; None: 30 min for RetailRocket (its ids are
    # visitors, seen over months), no cut for the others; 0: no cut

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that can't be meant."""
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f"no format is called {self.format!r}; there are {', '.join(FORMATS)}")
        if not self.kinds or not self.kinds <= set(KINDS):
            raise ConfigError(f"kinds must be some of {', '.join(KINDS)}")
        if self.ts_unit not in get_args(TimeUnit):
            raise ConfigError(f"the time unit must be ms or s, not {self.ts_unit!r}")
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share must be in 0..1, not {self.max_bad_share}")
        if self.session_gap_ms is not None and self.session_gap_ms < 0:
            raise ConfigError(f"the session gap must not be negative, not {self.session_gap_ms} ms")
