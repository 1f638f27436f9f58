"""How a click log is to be read."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, get_args

from export.errors import ConfigError
from model.data.readers.columns.kinds import ALIASES, KINDS, POSITIVES, written
from model.data.readers.columns.times import TIME_UNITS, TimeUnit

__all__ = ["FORMATS", "Columns", "Format", "ReadOptions"]

Format = Literal["otto", "yoochoose", "diginetica", "retailrocket", "csv", "parquet", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
MAX_NAME_CHARS = 256  # of a column's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns of a CSV with a header, of a Parquet file, or of the members of JSON lines."""

    session: str | None = None  # None: `session_id`
    item: str | None = None  # None: `item_id`
    ts: str | None = None  # None: `timestamp` or `ts`, whichever the file has
    type: str | None = None  # None: `type` if the file has it, else every line is a click
    extra: str | None = None  # a further column that is kept as it is, by which figures are broken down

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
    delimiter: str | None = None  # of `csv`; None: told from the first line
    header: bool = True  # of `csv`: the first line names the columns; else they are called 1, 2, 3 …
    encoding: str | None = None  # of text, as Python calls it; None: UTF-8, or what a mark at the start says
    type_map: Mapping[str, str] = field(
        default_factory=dict
    )  # kind as a file writes it, small letters -> one of `KINDS`
    max_bad_share: float = 0.01  # more bad lines than this share of all are a fault of the file, not noise
    session_gap_ms: int | None = None  # cut a session at a longer gap; None: 30 min for RetailRocket (its ids are
    # visitors, seen over months), no cut for the others; 0: no cut

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that can't be meant."""
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f"no format is called {self.format!r}; there are {', '.join(FORMATS)}")
        if not self.kinds or not self.kinds <= set(KINDS):
            raise ConfigError(f"kinds must be some of {', '.join(KINDS)}")
        if self.ts_unit not in TIME_UNITS:
            raise ConfigError(f"the time unit must be one of {', '.join(TIME_UNITS)}, not {self.ts_unit!r}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or not self.delimiter.isascii()):
            raise ConfigError(f"the delimiter must be one character of ASCII, not {self.delimiter!r}")
        if self.delimiter is not None and self.delimiter in "\"'\r\n":
            raise ConfigError(f"{self.delimiter!r} can't stand between columns: it is a quote or ends a line")
        if self.encoding is not None:
            _check_encoding(self.encoding)
        for name, kind in self.type_map.items():
            if kind not in KINDS:
                raise ConfigError(f"a kind of event is one of {', '.join(KINDS)}: {name!r} can't be {kind!r}")
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share must be in 0..1, not {self.max_bad_share}")
        if self.session_gap_ms is not None and self.session_gap_ms < 0:
            raise ConfigError(f"the session gap must not be negative, not {self.session_gap_ms} ms")

    @property
    def aliases(self) -> Mapping[str, str]:
        """Return the kind of the contract by the name of it in a file."""
        return {**ALIASES, **{written(name): kind for name, kind in self.type_map.items()}}

    @property
    def columns_or_numbers(self) -> Columns:
        """Return the names of the columns, or, without a header, their numbers: 1, 2 and 3 unless others are given."""
        if self.header:
            return self.columns
        session, item, ts = (getattr(self.columns, part) for part in ("session", "item", "ts"))
        return replace(self.columns, session=session or "1", item=item or "2", ts=ts or "3")


def _check_encoding(name: str) -> None:
    try:
        "".encode(codecs.lookup(name).name)
    except (LookupError, ValueError) as error:  # none of that name, or no encoding of text
        raise ConfigError(f"no encoding of text is called {name!r}; common ones: utf-8, cp1252, utf-16") from error
