"""The scoreboard at work: clicks and lists are read from their topics, joined, counted, and kept.

It reads in no group and commits nothing: how far it is stands in its own state. Reads what is committed only.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from confluent_kafka import Consumer, Message

from export.errors import NextclickError
from stream.erasure.teller import ErasureTeller
from stream.errors import BadClick, BrokerUnavailable, TopicError
from stream.kafka.clients import build_client, consumer_options
from stream.kafka.look import TopicLook
from stream.messages.contract import Click, Erase, Recommendation, Source, decode_event, decode_recommendation
from stream.messages.erasures import ErasedLists, decode_erased
from stream.messages.record_time import sane_record_time_ms
from stream.scoreboard.board import Board
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.join import Judged, ListJoin
from stream.scoreboard.lanes import Lanes
from stream.scoreboard.places import Places
from stream.scoreboard.state import StateFolder, restore, take
from stream.scoreboard.visit import Visit
from stream.topic_names import Topics

__all__ = ["Scoreboard"]

log = logging.getLogger(__name__)

_AT_ONCE, _WAIT_S = 1_000, 0.1
_AHEAD = 5_000  # messages of a partition that may wait for the other topic (3 KB a list); then it is read no further
_FETCHED_KB = 16_384  # that the client may have read ahead
_STUCK_S = 5.0  # without progress, until it is asked whether a click exists that is waited for
_TELL_S = 1.0  # between two countings of what is left
_ERASED_S = 1.0  # until a state without erased sessions is kept
_LOOK_S = 30.0  # between two looks for new partitions
_PARTITIONS, _OFFSETS = 1 << 31, 1 << 62  # Kafka's own bounds, about
_ITEMS, _NAME = 10_000, 200  # longest list, and characters of a name
_FUTURE_MS = 24 * 3600 * 1000  # a clock that is so far ahead of ours is wrong


class Scoreboard:
    """Runs from `start` to `close`, or step by step. Look at `board`, `join` and `lanes` within `lock`.

    state: where it is kept; None: nowhere. on_judged: hears of judged clicks, in the thread and within the lock;
    on_click of every click, before it is judged; on_erase of every session that is erased, and says what else went.
    `teller` tells of them once the state without them is kept.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics = Topics(),
        extra: Mapping[str, str] | None = None,
        *,
        config: ScoreboardConfig | None = None,
        state: StateFolder | None = None,
        on_judged: Callable[[Sequence[Judged]], None] = lambda _: None,
        on_click: Callable[[Click, Visit], None] = lambda *_: None,
        on_erase: Callable[[Erase], Mapping[str, int]] = lambda _: {},
        teller: ErasureTeller | None = None,
    ) -> None:
        self._on_erase, self._teller = on_erase, teller
        self._erased: list[tuple[str, Source, dict[str, int]]] = []  # that are not told yet
        self._topics, self._config, self._state = topics, config or ScoreboardConfig(), state
        self._on_judged = on_judged
        self.lock = threading.Lock()
        self.board = Board(self._config.max_models)
        self.join = ListJoin(
            self._config,
            row_of=self.board.row_of,
            teams_of=self.board.teams_of,
            on_list=self.board.listed,
            on_click=on_click,
            on_erase=self._erase,
        )
        self.lanes = Lanes(self.join, topics.clicks, self._config.placement)
        options = consumer_options(bootstrap_servers, extra, group="nextclick-scoreboard")
        options |= {"isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error"}
        options["queued.max.messages.kbytes"] = _FETCHED_KB
        self._consumer: Consumer = build_client(Consumer, options)
        self._places = Places(self._consumer, self.lanes, self._names)
        self._look = TopicLook(bootstrap_servers, extra)
        self._identities: dict[str, str] = {}
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, name="scoreboard", daemon=True)
        self._moved_at = self._looked_at = self._saved_at = self._told_at = 0.0
        self.behind: dict[str, int] = {}  # messages by topic that were not joined yet, as far as is known
        self.trouble = ""  # what the client says is wrong, until messages come again
        self.unsaved = ""  # why the state could not be written

    def open(self) -> None:
        """Find the places to read on from. TopicError, BrokerUnavailable, BadState."""
        known = self._state.read(self._names) if self._state is not None else None
        if known is not None:
            restore(known, self.join, self.board, self.lanes)
            self._identities = known.identities
        self.look()
        self._places.begin(known)
        self._moved_at = self._looked_at = self._saved_at = time.monotonic()

    def start(self) -> None:
        """Begin to read, in a thread; errors as of `open`."""
        self.open()
        self._thread.start()

    def check(self) -> None:
        """Raise what the thread failed of."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop reading, and keep the state. May be repeated."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()
        if self._teller is not None:
            self._teller.close()
        if self._state is not None:
            self._state.close()

    def read_to_end(self, stop: threading.Event | None = None) -> None:
        """Read all lists that there are, and the clicks they answer, and keep the state."""
        ends = self._places.ends(self._topics.recommendations)
        while any(lane.waiting or lane.read_to < ends.get(number, 0) for number, lane in self.lanes.lists.items()):
            if stop is not None and stop.is_set():
                break
            self.step()
        self.behind = self._places.behind()
        self.save()

    def look(self) -> None:
        """Whether the topics are those that are counted. For one thread, not the one that reads. TopicError where they
        are not, BrokerUnavailable."""
        found = self._look.at(self._names)
        if missing := [name for name in self._names if name not in found]:
            raise TopicError(f"there is no topic {missing[0]}: a scoreboard reads clicks and lists; is its name right?")
        for name, topic in found.items():
            if topic.identity is None:
                continue
            if self._identities.setdefault(name, topic.identity) != topic.identity:
                raise TopicError(
                    f"{name} was deleted and made again: what is counted is of the old one. Start the scoreboard with "
                    "another --state, to count what is there"
                )

    def step(self) -> None:
        """One round: read, join, count."""
        messages = self._consumer.consume(_AT_ONCE, _WAIT_S)
        with self.lock:
            done = self._done()
            for message in messages:
                self._take(message)
            judged = self.lanes.drain()
            self.board.take(judged)
            if judged:
                self._on_judged(judged)
            self._places.pace(_AHEAD)
        now = time.monotonic()
        if now - self._told_at > _TELL_S:  # in this thread: where two ask the client at once, both wait for ever
            self._told_at, self.behind = now, self._places.behind()
        if self._done() != done:
            self._moved_at = now
        elif now - self._moved_at > _STUCK_S and self.lanes.stuck():
            self._moved_at = now
            with self.lock, contextlib.suppress(BrokerUnavailable):  # it is asked again
                self._places.drop_unanswerable()
        if now - self._looked_at > _LOOK_S:
            self._looked_at = now
            with self.lock:
                self._places.add_new()

    def save(self) -> None:
        """Write the state; where it can't be, `unsaved` says why, and it is tried again."""
        if self._state is None:
            self._tell_erased(len(self._erased))
            return
        with self.lock:
            erased = len(self._erased)
            content = take(self._names, self.join, self.board, self.lanes, self._identities)
        try:
            self._state.write(content)
            self.unsaved = ""
            self._tell_erased(erased)
        except OSError as error:
            self.unsaved = str(error)
        self._saved_at = time.monotonic()

    @property
    def _names(self) -> tuple[str, str]:
        return self._topics.clicks, self._topics.recommendations

    def _guard(self) -> None:
        try:
            while not self._stop.is_set():
                self.step()
                since = time.monotonic() - self._saved_at
                if since > self._config.snapshot_s or (self._erased and since > _ERASED_S):
                    self.save()
            self.save()
        except Exception as error:  # handed to `check`: a thread has nobody else to tell
            self._failure = error
            if not isinstance(error, NextclickError):
                log.exception("the scoreboard failed")

    def _done(self) -> int:
        return sum(lane.done for lane in self.lanes.lists.values()) + sum(
            lane.read_to for lane in self.lanes.clicks.values()
        )

    def _erase(self, erase: Erase, source: Source, clicks: int) -> None:
        self._erased.append((erase.session_id, source, {"waiting clicks": clicks, **self._on_erase(erase)}))

    def _tell_erased(self, number: int) -> None:
        told, self._erased = self._erased[:number], self._erased[number:]
        if self._teller is not None:
            for one in told:
                self._teller.tell(*one)

    def _take(self, message: Message) -> None:
        error, number, offset = message.error(), message.partition() or 0, message.offset() or 0
        if error is not None:
            self.trouble = self._places.mend(message, error) or self.trouble
            return
        self.trouble = ""
        if message.topic() == self._topics.recommendations:
            self.lanes.listed(number, offset, _list_of(message))
        else:
            at_ms = _record_ms(message)
            self.lanes.clicked(number, offset, _click_of(message), at_ms)


def _record_ms(message: Message) -> int:
    """The record's time, -1 where it is none, or lies in the future: it would end every session."""
    found = sane_record_time_ms(message.timestamp()[1])
    return -1 if found is None or found > time.time() * 1000 + _FUTURE_MS else found


def _click_of(message: Message) -> Click | Erase | None:
    try:
        return decode_event(message.value(), message.key(), message.timestamp()[1])
    except BadClick:
        return None


def _list_of(message: Message) -> Recommendation | ErasedLists | None:
    value = message.value()
    if value is None:
        erased = decode_erased(message.headers())
        return erased if erased is not None and _is_place(erased.source) else None
    try:
        found = decode_recommendation(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if _is_possible(found) else None


def _is_possible(found: Recommendation) -> bool:
    """Whether a worker may have written it; whatever else can write to the topic must not stop us."""
    items = found.items
    return (
        _is_place(found.source)
        and 0 <= found.published_ts < _OFFSETS
        and len(items) <= _ITEMS
        and len(found.teams) in (0, len(items))
        and max(map(len, (found.experiment, found.variant, found.model, found.placement))) <= _NAME
    )


def _is_place(source: Source) -> bool:
    return 0 <= source.partition < _PARTITIONS and 0 <= source.offset < _OFFSETS
