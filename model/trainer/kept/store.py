"""The clicks a trainer learns from: Parquet parts, each with the offsets that are read next, visible at once or not.

    <first>-<last>.parquet   parts `first` to `last`; a part that is written is `n-n`, several that were joined are one

A part holds the columns of a click log (session_id, item_id, timestamp, type), and in its schema's metadata the next
offset of every partition of the topic. So what is stored and where reading goes on can't differ, whenever the trainer
is killed: a part is there with its offsets, or neither is. Numbers are taken exclusively: of two trainers that both
believe to lead, the second to take a number hears that it does not (`LeadLost`). Joined parts stay beside the one that
took their place until they are removed; a reader leaves out what a wider part covers.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.errors import DataError, LeadLost
from model.trainer.kept.files import Files

__all__ = ["SCHEMA", "ClickStore", "Meta", "Part"]

_COLUMNS: list[tuple[str, Any]] = [
    ("session_id", pa.string()),
    ("item_id", pa.string()),
    ("timestamp", pa.int64()),
    ("type", pa.string()),
]
SCHEMA = pa.schema(_COLUMNS)
_META = b"nextclick"
_NAME = re.compile(r"([1-9]\d{0,17})-([1-9]\d{0,17})\.parquet")
_SMALL = 50_000  # clicks; parts of fewer are joined
_JOINED = 500_000  # clicks of a joined part, at most
_MANY = 16  # small parts in a row, before they are joined
_LATE_MS = 86_400_000  # parts are kept so much longer than the window: sessions that it cuts stay whole


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What a part says of itself."""

    topic: str = ""  # empty: of files
    identity: str | None = None  # of the topic, where the cluster tells it
    next_offsets: dict[str, int] = {}  # partition -> offset that is read next, of all of them
    clicks: int = 0
    total: int = 0  # clicks stored up to here, those that left the window among them
    first_ts: int = 0  # ms since the epoch
    last_ts: int = 0
    imported: str = ""  # digest of the files that this part came from
    place: int = 0  # of the part in that import, from 1
    imported_until: int = 0  # newest ts of files: clicks of the topic that are not newer are taken for theirs


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is there."""

    name: str
    first: int
    last: int
    bytes: int
    meta: Meta


class ClickStore:
    """The parts in one folder. One trainer writes; others may read. OSError of the storage passes through."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[str, Part] = {}
        self.parts: list[Part] = []  # by number
        self.refresh()

    def refresh(self) -> None:
        """See what others wrote. DataError where a part can't be read."""
        names = set(self._files.names())
        self._known = {name: part for name, part in self._known.items() if name in names}
        for name in names:
            found = _NAME.fullmatch(name)
            if found and name not in self._known:
                self._known[name] = self._look(name, int(found[1]), int(found[2]))
        self._arrange()

    @property
    def newest(self) -> Meta:
        """What the newest part says; an empty Meta before the first."""
        return self.parts[-1].meta if self.parts else Meta()

    @property
    def next_offsets(self) -> dict[int, int]:
        """Where the topic is read on, by partition."""
        return {int(number): offset for number, offset in self.newest.next_offsets.items()}

    @property
    def clicks(self) -> int:
        """Clicks that are there."""
        return sum(part.meta.clicks for part in self.parts)

    @property
    def bytes(self) -> int:
        """Size of the parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def last_ts(self) -> int:
        """Time of the newest click, ms since the epoch; 0 without one."""
        return max((part.meta.last_ts for part in self.parts), default=0)

    def append(self, rows: Mapping[str, Sequence[Any]], **meta: Any) -> Part:
        """Store clicks (columns of SCHEMA) as the next part; `meta` are fields of Meta that change.

        LeadLost where another trainer has taken the number.
        """
        table = pa.table(dict(rows), schema=SCHEMA)
        return self.append_table(table, **meta)

    def append_table(self, table: pa.Table, **meta: Any) -> Part:
        """The same for a table of SCHEMA."""
        ts = table.column("timestamp").to_numpy()
        number = self.parts[-1].last + 1 if self.parts else 1
        fields = {
            **msgspec.structs.asdict(self.newest),
            "imported": "",
            "place": 0,
            "clicks": len(ts),
            "total": self.newest.total + len(ts),
            "first_ts": int(ts.min()) if len(ts) else 0,
            "last_ts": int(ts.max()) if len(ts) else 0,
            **meta,
        }
        return self._write(f"{number}-{number}.parquet", table, Meta(**fields))

    def trim(self, *, window_ms: int, most_bytes: int) -> tuple[int, int]:
        """Remove parts that left the window, and the oldest while there are too many bytes; never the newest part.

        Returns the clicks removed for their age, and for the bytes.
        """
        old, many = 0, 0
        oldest = self.last_ts - window_ms - _LATE_MS
        while len(self.parts) > 1 and (self.parts[0].meta.last_ts < oldest or self.bytes > most_bytes):
            part = self.parts[0]
            if part.meta.last_ts < oldest:
                old += part.meta.clicks
            else:
                many += part.meta.clicks
            self._remove(part)
        return old, many

    def erase(self, sessions: Collection[str]) -> dict[str, int]:
        """Take all clicks of these sessions out of the parts, those that a wider part covers among them; how many they
        were, by session. A part is replaced at once: a kill leaves some with them and some without, never half a
        one."""
        wanted = pa.array(sorted(sessions), pa.string())
        counted = {part.name for part in self.parts}
        gone: Counter[str] = Counter(dict.fromkeys(sessions, 0))
        for part in list(self._known.values()):
            try:
                content = self._files.read(part.name)
            except FileNotFoundError:  # another trainer's tidying
                continue
            found = pq.read_table(io.BytesIO(content), columns=["session_id"]).column(0)
            hits = pc.is_in(found, value_set=wanted)
            if not pc.any(hits).as_py():
                continue
            if part.name in counted:
                gone.update(map(str, found.filter(hits).to_pylist()))
            self._replace(part, pq.read_table(io.BytesIO(content), schema=SCHEMA).filter(pc.invert(hits)))
        return dict(gone)

    def join_small(self) -> int:
        """Join small parts that stand in a row, where they are many; how many were joined."""
        joined = 0
        while len(run := self._small_run()) >= _MANY:
            self._join(run)
            joined += len(run)
        return joined

    def place(self, names: Iterable[str], folder: Path) -> None:
        """Have these parts in a local folder, as a click log whose files are in order; FileNotFoundError where one is
        gone."""
        for name in names:
            self._files.place(name, folder / f"{int(name.partition('-')[0]):018d}.parquet")

    def names(self, *, window_ms: int) -> list[str]:
        """The parts that a window of this length, up to the newest click, needs; oldest first."""
        oldest = self.last_ts - window_ms - _LATE_MS
        return [part.name for part in self.parts if part.meta.clicks and part.meta.last_ts >= oldest]

    def imported(self, digest: str) -> int:
        """How many parts of an import are there: a kill may have ended it."""
        return max((part.meta.place for part in self._known.values() if part.meta.imported == digest), default=0)

    def _join(self, run: Sequence[Part]) -> None:
        table = pa.concat_tables(pq.read_table(io.BytesIO(self._files.read(part.name))) for part in run)
        times = [part.meta for part in run if part.meta.clicks]
        meta = msgspec.structs.replace(
            run[-1].meta,
            clicks=table.num_rows,
            first_ts=min((one.first_ts for one in times), default=0),
            last_ts=max((one.last_ts for one in times), default=0),
        )
        self._write(f"{run[0].first}-{run[-1].last}.parquet", table, meta)
        for part in run:
            self._remove(part)

    def _small_run(self) -> list[Part]:
        """The oldest small parts in a row, not of an import, as many as make one part."""
        run: list[Part] = []
        for part in self.parts[:-1]:  # the newest stays: its number is the last
            fits = sum(one.meta.clicks for one in run) + part.meta.clicks <= _JOINED
            small = part.meta.clicks < _SMALL and not part.meta.imported
            if small and fits:
                run.append(part)
            elif len(run) >= _MANY:
                break
            else:
                run = [part] if small else []
        return run

    def _write(self, name: str, table: pa.Table, meta: Meta) -> Part:
        content = _encoded(table, meta)
        if not self._files.take(name, content):
            raise LeadLost(f"part {name} of the clicks was written by another trainer: it leads now")
        first, last = (int(number) for number in name.removesuffix(".parquet").split("-"))
        part = self._known[name] = Part(name, first, last, len(content), meta)
        self._arrange()
        return part

    def _replace(self, part: Part, table: pa.Table) -> None:
        times = table.column("timestamp")
        meta = msgspec.structs.replace(
            part.meta,
            clicks=table.num_rows,
            first_ts=pc.min(times).as_py() or 0,
            last_ts=pc.max(times).as_py() or 0,
        )
        content = _encoded(table, meta)
        self._files.replace(part.name, content)
        self._known[part.name] = Part(part.name, part.first, part.last, len(content), meta)
        self._arrange()

    def _remove(self, part: Part) -> None:
        self._files.remove(part.name)
        self._known.pop(part.name, None)
        self._arrange()

    def _look(self, name: str, first: int, last: int) -> Part:
        content = self._files.read(name)
        try:
            metadata = pq.read_schema(io.BytesIO(content)).metadata or {}
            return Part(name, first, last, len(content), msgspec.json.decode(metadata[_META], type=Meta))
        except (pa.ArrowException, KeyError, msgspec.MsgspecError) as error:
            raise DataError(f"{name} is no part of a trainer's clicks, or damaged: move it away. {error}") from error

    def _arrange(self) -> None:
        """The widest parts, by number: what they cover is there twice for a moment only."""
        parts = sorted(self._known.values(), key=lambda part: (part.first, -part.last))
        self.parts = []
        for part in parts:
            if not self.parts or part.first > self.parts[-1].last:
                self.parts.append(part)


def _encoded(table: pa.Table, meta: Meta) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_META: msgspec.json.encode(meta)}), buffer, compression="zstd")
    return buffer.getvalue()
