"""A shopper's session as a pure value: folding clicks into it, and its compact form in the state topic.

    state = fold_click(state, click, offset)      same clicks at the same offsets, same state

Clicks count in the order of their offsets. Event time only decides where a session ends: a click more than the time-out
after the newest one starts a new session. A click that comes late (its ts lies before the newest) joins the session.

A click cannot have happened long after it was written: what its ts lies ahead of its record's timestamp by more than a
minute (a clock that is wrong) counts as that minute. Else one such click would end its session, and the next ones would
join what it began until its time had come. The record's timestamp is part of the log, so that a replay folds the same.
"""

from dataclasses import dataclass

import msgspec

from export.errors import ConfigError
from stream.errors import BadState
from stream.messages.contract import Click, ClickType
from stream.messages.record_time import sane_record_time_ms

__all__ = [
    "SessionConfig",
    "SessionState",
    "StateHead",
    "decode_head",
    "decode_state",
    "encode_state",
    "fold_click",
    "is_expired",
    "ranking_items",
]

STATE_FORMAT = 1
MAX_AHEAD_MS = 60_000  # of a click's ts before its record's timestamp; clocks differ
_CODES: dict[ClickType, str] = {"click": "c", "cart": "a", "order": "o", "like": "l", "skip": "s", "dislike": "d"}
_NAMES: dict[str, ClickType] = {code: name for name, code in _CODES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """How long a session lasts, and how much of it is kept."""

    max_items: int = 50  # newest events kept; TRON's window
    timeout_ms: int = 1_800_000  # event time; 30 minutes of silence end a session, as in web analytics
    grace_ms: int = 600_000  # how late a click may come; a session is forgotten so long after its time-out

    def __post_init__(self) -> None:
        if self.max_items < 1 or self.timeout_ms < 1:
            raise ConfigError("a session keeps at least one item and lasts at least one millisecond")
        if self.grace_ms < 0:
            raise ConfigError("the grace of late clicks must not be negative")


class SessionState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newest events of a session, oldest first.

    `items`, `kinds` and `times` run in parallel; `times` are milliseconds after `start_ts`, and can be negative.
    """

    format: int
    offset: int  # newest source offset applied
    last_ts: int  # greatest event time seen, ms since the epoch; of a clock ahead of its record's time, a minute more
    start_ts: int  # event time of the session's first click
    items: tuple[str, ...]  # the shop's own ids
    kinds: str  # one letter an event
    times: tuple[int, ...]

    def events(self) -> list[tuple[str, ClickType, int]]:
        """(item id, type, event time in ms), oldest first."""
        rows = zip(self.items, self.kinds, self.times, strict=True)
        return [(item, _NAMES[kind], self.start_ts + time) for item, kind, time in rows]


class StateHead(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of a stored state, for those who need no items."""

    format: int
    offset: int
    last_ts: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SessionState).decode
_decode_head = msgspec.msgpack.Decoder(StateHead).decode
_DEFAULT = SessionConfig()


def fold_click(
    state: SessionState | None, click: Click, offset: int, config: SessionConfig = _DEFAULT, record_ms: int = -1
) -> SessionState:
    """The session after `click`; the very same object where `offset` was applied before.

    Offsets compare within one partition only: each has its own state of a session. record_ms: the timestamp of the
    click's record, whatever it is worth; -1 where it has none.
    """
    ts = seen = click.ts
    if seen > record_ms + MAX_AHEAD_MS and sane_record_time_ms(record_ms) is not None:
        seen = record_ms + MAX_AHEAD_MS
    if state is None:
        return SessionState(STATE_FORMAT, offset, seen, ts, (click.item_id,), _CODES[click.type], (0,))
    if offset <= state.offset:
        return state
    last_ts = state.last_ts
    if seen - last_ts > config.timeout_ms:
        return SessionState(STATE_FORMAT, offset, seen, ts, (click.item_id,), _CODES[click.type], (0,))
    start_ts, keep = state.start_ts, config.max_items
    items = (*state.items, click.item_id)
    kinds = state.kinds + _CODES[click.type]
    times = (*state.times, ts - start_ts)
    if len(items) > keep:
        items, kinds, times = items[-keep:], kinds[-keep:], times[-keep:]
    return SessionState(STATE_FORMAT, offset, seen if seen > last_ts else last_ts, start_ts, items, kinds, times)


def ranking_items(state: SessionState) -> tuple[str, ...]:
    """What the ranking sees: items of interest, oldest first; skips and dislikes are left out."""
    if "s" not in state.kinds and "d" not in state.kinds:
        return state.items
    return tuple(item for item, kind in zip(state.items, state.kinds, strict=True) if kind not in "sd")


def is_expired(head: StateHead | SessionState, now_ms: int, config: SessionConfig = _DEFAULT) -> bool:
    """Whether a click at event time `now_ms` would start a new session."""
    return now_ms - head.last_ts > config.timeout_ms


def encode_state(state: SessionState) -> bytes:
    """The state as MessagePack: 9 to 14 bytes a click with ids of 5 digits."""
    return _encode(state)


def decode_state(data: bytes) -> SessionState:
    """The state in `data`; BadState where it is damaged or of another format."""
    try:
        state = _decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadState(f"a stored session cannot be read: {error}") from error
    if state.format != STATE_FORMAT or not len(state.items) == len(state.kinds) == len(state.times):
        raise BadState(f"a stored session has format {state.format}, or its parts differ in length")
    return state


def decode_head(data: bytes) -> StateHead:
    """Offset and newest event time of a stored state without its items; BadState where it is damaged."""
    try:
        return _decode_head(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadState(f"a stored session cannot be read: {error}") from error
