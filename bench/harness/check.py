"""What came out, compared with a pure fold of what went in: the clicks as they stand in their topic, in its order.

    every click     a list of its session with a source offset at or behind it, or rejected for the right reason
    every list      items and scores of the model it names, for the session's state at the list's source offset;
                    variant and model are those that the experiment has for its session
    every session   its newest row in the changelog (the one that compaction keeps) is its state; its last list is of it
    exactly once    to a reader of what is committed, no source offset is answered twice, no message rejected twice

Everything is read on and on: a round costs what it added.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import Message

from bench.harness.expected import Expected
from bench.harness.traffic import EXPECTED
from bench.rig.clients import Tail
from export.experiments.experiment import Experiment
from export.policy.config import ListsConfig
from export.ranking.ranker import Ranker
from stream.errors import BadClick
from stream.messages.contract import Erase, Recommendation, decode_event, decode_recommendation
from stream.partition.positions import is_reserved
from stream.partition.session import SessionState, decode_state, fold_click
from stream.path.lists import ShopLists

__all__ = ["Checker"]

K = 20  # items in a list
_KEPT_ROUNDS = 3  # for which each list's own state is remembered

Place = tuple[int, int]  # partition and offset of a click
Session = tuple[int, str]  # a session is one of its partition; where partitions are added, it starts anew in another


class Checker:
    """Reads the four topics; `rankers` by version. `wrong` says what differs, one line a finding."""

    def __init__(
        self,
        bootstrap: str,
        changelog: str,
        rankers: Mapping[str, Ranker],
        *,
        exactly_once: bool,
        experiment: Experiment | None = None,
    ) -> None:
        self._rankers, self._exactly_once = rankers, exactly_once
        self._makes = ShopLists(ListsConfig.single(K))
        self._expected = Expected(experiment)
        self.variants: Counter[str] = Counter()
        self._bootstrap, self._state_topic = bootstrap, changelog
        self._clicks = Tail(bootstrap, "clicks")
        self._lists, self._rejected, self._changelog = (
            self._tail(name) for name in ("recommendations", "clicks.rejected", changelog)
        )
        self.states: dict[Session, SessionState] = {}
        self.last: dict[str, Recommendation] = {}
        self.clicks = self.lists = self.repeats = self.removed = 0
        self.wrong: list[str] = []
        self.models: set[str] = set()  # that made the lists of this round, but for those of the experiment
        self._last: dict[Session, Recommendation] = {}
        self._rows: dict[Session, bytes | None] = {}
        self._history: dict[Place, tuple[str, SessionState]] = {}
        self._rounds: deque[list[Place]] = deque([[]])
        self._touched: set[Session] = set()
        self._waiting: dict[Session, deque[int]] = defaultdict(deque)  # offsets without a list
        self._held: list[Message] = []
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
        self._take_rows(rows)
        for message in rejected:
            self._take_rejected(message)
        self._take_lists([self._decode_list(message) for message in lists if message.value() is not None])

    # -- topics change; no click is sent meanwhile --

    def grown(self) -> None:
        """Clicks and states have more partitions."""
        self._clicks.grow()
        self._changelog.grow()

    def hold(self) -> None:
        """Read the clicks that are there, but look at none of them yet."""
        self._held += self._clicks.read_to_end()

    def release(self, removed: Collection[Place]) -> list[Place]:
        """Look at what is held, but for clicks that no worker can have read; places among those where none stood."""
        places = {(message.partition() or 0, message.offset() or 0): message for message in self._held}
        self._held = []
        for place, message in places.items():
            if place not in removed:
                self._take_click(message)
        self.removed += len(places.keys() & set(removed))
        return sorted(set(removed) - places.keys())

    def start_anew(self, make: Callable[[], object] | None) -> None:
        """The clicks were deleted, and no worker runs; `make` makes their topic again, unless it is there. What was not
        answered is gone with it; what comes out from now on is of the new one."""
        for message in self._rejected.read_to_end():
            self._take_rejected(message)
        lists = [message for message in self._lists.read_to_end() if message.value() is not None]
        self._take_lists([self._decode_list(message) for message in lists])
        sessions: tuple[Any, ...] = (self.states, self.last, self._last, self._touched, self._waiting)
        places: tuple[Any, ...] = (self._history, self._unrejected, self._reasons, self._answered, self._refused)
        for known in (*sessions, *places):
            known.clear()
        self._rounds = deque([[]])
        self._clicks.close()
        if make is not None:
            make()
        self._clicks = Tail(self._bootstrap, "clicks")

    def states_gone(self) -> None:
        """The states' topic is another one, and empty."""
        self.states.clear()
        self._rows.clear()
        self._touched.clear()
        self._changelog.close()
        self._changelog = self._tail(self._state_topic)

    def lists_gone(self) -> None:
        """The lists' topic is another one, and empty."""
        self.last.clear()
        self._last.clear()
        self._lists.close()
        self._lists = self._tail("recommendations")

    # -- what was found --

    def settle(self, deadline_s: float) -> int:
        """Read until every click is answered and every row is there; the clicks that are unanswered after all.

        Then on until nothing has come for a moment: late rows and repeats, if there are any.
        """
        end, tails = time.monotonic() + deadline_s, (self._clicks, self._lists, self._rejected, self._changelog)
        for tail in tails:
            tail.expect()
        self.read()
        while (self.unanswered() or self._stale()) and time.monotonic() < end:
            for tail in tails:
                tail.rouse()
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
        clicks = [f"{name} at {offsets[0]}" for (_, name), offsets in self._waiting.items() if offsets]
        return clicks[:5] + [f"{place} ({reason})" for place, reason in self._unrejected.items()][:5]

    def check_sessions(self, *, everything: bool = False) -> None:
        """Compare row and last list of the sessions that the round touched, or of all."""
        for session in sorted(self.states if everything else self._touched):
            state, name = self.states[session], session[1]
            last = self._last.get(session)
            if self._row(session) != state:
                self._blame(name, f"its row is {self._row(session)}, not {state}")
            if last is not None and last.source.offset != state.offset:
                self._blame(name, f"its last list is for offset {last.source.offset}, not {state.offset}")
        kept = {session for session, row in self._rows.items() if row is not None}
        if everything and (unknown := kept - self.states.keys()):
            self.wrong.append(f"rows of sessions that nobody clicked in: {sorted(unknown)[:5]}")

    def check_last(self, sessions: Iterable[str], model: str) -> None:
        """The last lists of `sessions` are by `model`, or by that of their variant."""
        for name in sessions:
            expected = self._expected.model(name) or model
            if name in self.last and self.last[name].model != expected:
                self._blame(name, f"its last list is by model {self.last[name].model!r}, not {expected}")

    def last_of(self, partition: int, name: str) -> Recommendation | None:
        """The last list for the clicks of a session in one partition."""
        return self._last.get((partition, name))

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
            click = decode_event(message.value(), message.key(), message.timestamp()[1])
        except BadClick as error:
            self._expect_rejection(message, (partition, offset), error.reason)
            return
        if isinstance(click, Erase):
            self._erase((partition, click.session_id))
            return
        session = partition, click.session_id
        before, written = self.states.get(session), message.timestamp()[1]
        state = self.states[session] = fold_click(before, click, offset, record_ms=written)
        self._history[partition, offset] = click.session_id, state
        self._rounds[-1].append((partition, offset))
        self._touched.add(session)
        self._waiting[session].append(offset)
        self.clicks += 1

    def _erase(self, session: Session) -> None:
        """Its clicks so far need no answer any more, and leave no state."""
        for known in (self.states, self._last, self._waiting):
            known.pop(session, None)
        self.last.pop(session[1], None)
        self._touched.discard(session)

    def _take_rows(self, rows: Iterable[Message]) -> None:
        for message in rows:
            if not is_reserved(message.key()):
                name = (message.key() or b"").decode(errors="replace")
                self._rows[message.partition() or 0, name] = message.value()

    def _tail(self, topic: str) -> Tail:
        return Tail(self._bootstrap, topic, committed=self._exactly_once)

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
            self._check_variant(found)
            name, place = found.session_id, (found.source.partition, found.source.offset)
            repeated = place in self._answered  # perhaps in a round whose states are forgotten
            self._count_repeat(place, self._answered, "answered")
            at_place = self._history.get(place)
            if at_place is not None and at_place[0] == name:
                by_model[found.model].append((found, at_place[1]))
            elif at_place is not None or not repeated:
                self._blame(name, f"a list for {place}, where no click of it stands")
            self.last[name] = self._last[place[0], name] = found
            waiting = self._waiting[place[0], name]
            while waiting and waiting[0] <= found.source.offset:
                waiting.popleft()
        for model, rows in by_model.items():
            self._compare_lists(model, rows)

    def _check_variant(self, found: Recommendation) -> None:
        if finding := self._expected.finding(found):
            self._blame(found.session_id, finding)
        if found.experiment:
            self.variants[found.variant] += 1
        else:
            self.models.add(found.model)

    def _count_repeat(self, place: Place, seen: set[Place], what: str) -> None:
        if place in seen:
            self.repeats += 1
            if self._exactly_once:
                self.wrong.append(f"the click at {place} was {what} twice")
        seen.add(place)

    def _compare_lists(self, model: str, rows: list[tuple[Recommendation, SessionState]]) -> None:
        rankers = [self._rankers.get(version) for version in model.split("+")]
        if None in rankers:
            self.wrong.append(f"{len(rows)} lists by {model!r}, which was never in force")
            return
        states = [state for _, state in rows]
        ranked = [self._makes.answers(states, ranker) for ranker in rankers if ranker is not None]
        for (found, state), *expected in zip(rows, *ranked, strict=True):
            try:
                assert found.fallback == any(one.fallback for one in expected), "the fallback served, or not"
                assert found.event_ts == state.start_ts + state.times[-1], "event_ts"
                self._expected.assert_items(found, [one.items for one in expected])
            except AssertionError as error:
                self._blame(found.session_id, f"its list for offset {found.source.offset}: {error}")

    def _stale(self) -> bool:
        touched = (session for session in self._touched if session[1] not in self._blamed)
        return any(self._row(session) != self.states[session] for session in touched)

    def _row(self, session: Session) -> SessionState | None:
        row = self._rows.get(session)
        return decode_state(row) if row is not None else None

    def _blame(self, name: str, finding: str) -> None:
        if name not in self._blamed:
            self._blamed.add(name)
            self.wrong.append(f"session {name}: {finding}")
