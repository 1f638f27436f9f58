"""The state of a scoreboard in a file: all that is counted, and the offsets up to which it is.

Written beside and renamed, so that a scoreboard that is killed goes on from the last one, with the same figures as if
it had not been: what it read since is read again, into sums that know nothing of it.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

import msgspec

from export.errors import ConfigError
from stream.errors import BadState
from stream.scoreboard.board import Board, RowState
from stream.scoreboard.join import Counts, LaneState, ListJoin
from stream.scoreboard.lanes import Dropped, Lanes

__all__ = ["ScoreboardState", "StateFolder", "restore", "take"]

_FORMAT = 1
_FILE, _LOCK, _PARTIAL = "scoreboard.state", "lock", ".scoreboard.partial"


class ScoreboardState(msgspec.Struct):
    """What the file has."""

    format: int
    clicks: str  # the topics
    recommendations: str
    next_clicks: dict[int, int]  # offset to read on from, by partition
    next_lists: dict[int, int]
    lanes: dict[int, LaneState]
    counts: Counts
    dropped: Dropped
    items: list[str]
    rows: list[RowState | None]
    mixed: dict[str, int]
    identities: dict[str, str] = {}  # of the topics, where the cluster tells them


_decoder = msgspec.msgpack.Decoder(ScoreboardState)


def take(
    topics: tuple[str, str],
    join: ListJoin,
    board: Board,
    lanes: Lanes,
    identities: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """All of it, encoded. `topics`: of the clicks and of the lists."""
    return msgspec.msgpack.encode(
        ScoreboardState(
            format=_FORMAT,
            clicks=topics[0],
            recommendations=topics[1],
            next_clicks={number: lane.done for number, lane in lanes.clicks.items()},
            next_lists={number: lane.done for number, lane in lanes.lists.items()},
            lanes=join.snapshot(),
            counts=join.counts,
            dropped=lanes.dropped,
            items=list(join.items),
            rows=board.stored(),
            mixed=board.mixed,
            identities=dict(identities),
        )
    )


def restore(state: ScoreboardState, join: ListJoin, board: Board, lanes: Lanes) -> None:
    """Put it into a join, a board and lanes that are new; where to read on is the reader's."""
    join.restore(state.lanes, state.counts, state.items)
    board.restore(state.rows, state.mixed)
    lanes.dropped = state.dropped


class StateFolder:
    """A folder that one scoreboard has for itself. ConfigError where another one has it, or it can't be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[bytes] = (folder / _LOCK).open("ab")
        except OSError as error:
            raise ConfigError(f"the scoreboard can't keep its state in {folder}: {error.strerror or error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process, however it ends
        except BlockingIOError:
            self._lock.close()
            raise ConfigError(
                f"another scoreboard keeps its state in {folder}: give this one another --state"
            ) from None

    def read(self, topics: tuple[str, str]) -> ScoreboardState | None:
        """The state; None where there is none. BadState where it can't be read, or is of other topics."""
        path = self._folder / _FILE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        remedy = "give another --state, to count from the oldest messages kept"
        try:
            state = _decoder.decode(content)
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadState(f"{path} is no state of a scoreboard ({error}): {remedy}") from error
        if state.format != _FORMAT:
            raise BadState(f"{path} has format {state.format}, this program reads {_FORMAT}: {remedy}")
        if (state.clicks, state.recommendations) != topics:
            raise BadState(f"{path} is of the topics {state.clicks} and {state.recommendations}: {remedy}")
        return state

    def write(self, content: bytes) -> None:
        """Replace the state: readers, and the next start, see the old one or the new."""
        partial = self._folder / _PARTIAL
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / _FILE)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Let another one have it."""
        self._lock.close()
