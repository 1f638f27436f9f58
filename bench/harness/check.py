"""What came out, compared with a pure fold of what went in: the clicks as they stand in their topic, in its order.

    every click     a list of its session with a source offset at or behind it, or rejected for the right reason
    every list      items and scores of the model it names, for the session's state at the list's source offset
    every session   its newest row in the changelog (the one that compaction keeps) is its state; its last list is of it
    exactly once    to a reader of what is committed, no source offset is answered twice, no message rejected twice

Everything is read on and on: a round costs what it added.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from confluent_kafka import Message

from bench.harness.traffic import EXPECTED
from bench.rig.clients import Tail
from bench.rig.oracle import assert_same_order
from export.ranking.ranker import Ranker
from stream.errors import BadClick
from stream.messages.contract import Recommendation, decode_click, decode_recommendation
from stream.partition.positions import is_reserved
from stream.partition.session import SessionState, decode_state, fold_click, ranking_items

__all__ = ["Checker"]

K = 20  # items in a list
_KEPT_ROUNDS = 3  # for which each list's own state is remembered

Place = tuple[int, int]  # partition and offset of a click


class Checker:
    """Reads the four topics; `rankers` by version. `wrong` says what differs, one line a finding."""

    def __init__(self, bootstrap: str, changelog: str, rankers: Mapping[str, Ranker], *, exactly_once: bool) -> None:
        self._rankers, self._exactly_once = rankers, exactly_once
        self._clicks = Tail(bootstrap, "clicks")
        self._lists, self._rejected, self._changelog = (
            Tail(bootstrap, name, committed=exactly_once) for name in ("recommendations", "clicks.rejected", changelog)
        )
        self.states: dict[str, SessionState] = {}
        self.last: dict[str, Recommendation] = {}
        self.clicks = self.lists = self.repeats = 0
        self.wrong: list[str] = []
        self.models: set[str] = set()  # that made the lists of this round
        self._rows: dict[str, bytes | None] = {}
        self._history: dict[Place, tuple[str, SessionState]] = {}
        self._rounds: deque[list[Place]] = deque([[]])
        self._touched: set[str] = set()
        self._waiting: dict[str, deque[int]] = defaultdict(deque)  # offsets without a list
        self._unrejected: dict[Place, str] = {}  # reasons
        self._reasons: dict[Place, str] = {}
        self._answered: set[Place] = set()
        self._refused: set[Place] = set()
        self._blamed: set[str] = set()  # sessions found wrong; each counts once

    def begin_round(self) -> None:
        """Forget what only the round before needs."""
        self._touched, self.models = set(), set()
        self._rounds.append([])
        if len(self._rounds) > _KEPT_ROUNDS:
            for place in self._rounds.popleft():
                self._history.pop(place, None)

    def read(self) -> None:
        """Take in what has come. The clicks come last, and so hold every click that the rest is about."""
        rows, lists, rejected = (self._drain(tail) for tail in (self._changelog, self._lists, self._rejected))
        for message in self._clicks.read_to_end():
            self._take_click(message)
        for message in rows:
            if not is_reserved(message.key()):
                self._rows[(message.key() or b"").decode(errors="replace")] = message.value()
        for message in rejected:
            self._take_rejected(message)
        self._take_lists([self._decode_list(message) for message in lists])

    def settle(self, deadline_s: float) -> int:
        """Read until every click is answered and every row is there; the clicks that are unanswered after all.

        Then on until nothing has come for a moment: late rows and repeats, if there are any.
        """
        end = time.monotonic() + deadline_s
        self.read()
        while (self.unanswered() or self._stale()) and time.monotonic() < end:
            self.read()
        count, since = self._seen(), time.monotonic()
        while time.monotonic() - since < 0.3:
            self.read()
            if self._seen() != count:
                count, since = self._seen(), time.monotonic()
        return self.unanswered()

    def unanswered(self) -> int:
        """Clicks without a list or a rejection."""
        return sum(map(len, self._waiting.values())) + len(self._unrejected)

    def describe_unanswered(self) -> list[str]:
        """Some of them."""
        clicks = [f"{name} at {offsets[0]}" for name, offsets in self._waiting.items() if offsets]
        return clicks[:5] + [f"{place} ({reason})" for place, reason in self._unrejected.items()][:5]

    def check_sessions(self, *, everything: bool = False) -> None:
        """Compare row and last list of the sessions that the round touched, or of all."""
        for name in sorted(self.states if everything else self._touched):
            state = self.states[name]
            last = self.last.get(name)
            if self._row(name) != state:
                self._blame(name, f"its row is {self._row(name)}, not {state}")
            if last is not None and last.source.offset != state.offset:
                self._blame(name, f"its last list is for offset {last.source.offset}, not {state.offset}")
        if everything and (unknown := self._rows.keys() - self.states.keys()):
            self.wrong.append(f"rows of sessions that nobody clicked in: {sorted(unknown)[:5]}")

    def check_last(self, sessions: Iterable[str], model: str) -> None:
        """The last lists of `sessions` are by `model`."""
        for name in sessions:
            if name in self.last and self.last[name].model != model:
                self._blame(name, f"its last list is by model {self.last[name].model!r}, not {model}")

    def close(self) -> None:
        for tail in (self._clicks, self._lists, self._rejected, self._changelog):
            tail.close()

    def _seen(self) -> tuple[int, ...]:
        return self.lists, self.repeats, len(self._refused), hash(tuple(self._rows.values()))

    @staticmethod
    def _drain(tail: Tail) -> list[Message]:
        found: list[Message] = []
        while more := tail.read(0.02):
            found += more
        return found

    def _take_click(self, message: Message) -> None:
        partition, offset = message.partition() or 0, message.offset() or 0
        try:
            click = decode_click(message.value(), message.key(), message.timestamp()[1])
        except BadClick as error:
            self._expect_rejection(message, (partition, offset), error.reason)
            return
        name = click.session_id
        before, written = self.states.get(name), message.timestamp()[1]
        state = self.states[name] = fold_click(before, click, offset, record_ms=written)
        self._history[partition, offset] = name, state
        self._rounds[-1].append((partition, offset))
        self._touched.add(name)
        self._waiting[name].append(offset)
        self.clicks += 1

    def _expect_rejection(self, message: Message, place: Place, reason: str) -> None:
        expected = dict(message.headers() or []).get(EXPECTED, b"").decode()
        if reason != expected:
            self.wrong.append(f"the click at {place} was sent to be {expected or 'good'}, and is {reason}")
        self._unrejected[place] = self._reasons[place] = reason

    def _take_rejected(self, message: Message) -> None:
        headers = dict(message.headers() or [])
        place = int(headers.get("partition", b"-1")), int(headers.get("offset", b"-1"))
        reason = headers.get("reason", b"").decode()
        if self._reasons.get(place) != reason:
            self.wrong.append(f"the click at {place} was rejected as {reason}, not {self._reasons.get(place)}")
        self._count_repeat(place, self._refused, "rejected")
        self._unrejected.pop(place, None)

    def _decode_list(self, message: Message) -> Recommendation:
        found = decode_recommendation(message.value() or b"")
        if message.key() != found.session_id.encode():
            self._blame(found.session_id, f"a list of it has the key {message.key()!r}")
        return found

    def _take_lists(self, lists: list[Recommendation]) -> None:
        by_model: dict[str, list[tuple[Recommendation, SessionState]]] = defaultdict(list)
        for found in lists:
            self.lists += 1
            self.models.add(found.model)
            name, place = found.session_id, (found.source.partition, found.source.offset)
            repeated = place in self._answered  # perhaps in a round whose states are forgotten
            self._count_repeat(place, self._answered, "answered")
            at_place = self._history.get(place)
            if at_place is not None and at_place[0] == name:
                by_model[found.model].append((found, at_place[1]))
            elif at_place is not None or not repeated:
                self._blame(name, f"a list for {place}, where no click of it stands")
            self.last[name] = found
            waiting = self._waiting[name]
            while waiting and waiting[0] <= found.source.offset:
                waiting.popleft()
        for model, rows in by_model.items():
            self._compare_lists(model, rows)

    def _count_repeat(self, place: Place, seen: set[Place], what: str) -> None:
        if place in seen:
            self.repeats += 1
            if self._exactly_once:
                self.wrong.append(f"the click at {place} was {what} twice")
        seen.add(place)

    def _compare_lists(self, model: str, rows: list[tuple[Recommendation, SessionState]]) -> None:
        ranker = self._rankers.get(model)
        if ranker is None:
            self.wrong.append(f"{len(rows)} lists by {model!r}, which was never in force")
            return
        ranked = ranker.rank_items([ranking_items(state) for _, state in rows], K)
        for (found, state), expected in zip(rows, ranked, strict=True):
            try:
                assert found.fallback == expected.fallback, "the fallback served, or not"
                assert found.event_ts == state.start_ts + state.times[-1], "event_ts"
                assert_same_order([(item.item_id, item.score) for item in found.items], expected.items)
            except AssertionError as error:
                self._blame(found.session_id, f"its list for offset {found.source.offset}: {error}")

    def _stale(self) -> bool:
        return any(self._row(name) != self.states[name] for name in self._touched - self._blamed)

    def _row(self, name: str) -> SessionState | None:
        row = self._rows.get(name)
        return decode_state(row) if row is not None else None

    def _blame(self, name: str, finding: str) -> None:
        if name not in self._blamed:
            self._blamed.add(name)
            self.wrong.append(f"session {name}: {finding}")
