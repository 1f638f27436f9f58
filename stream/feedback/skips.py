"""Which items of a list were passed over: those above the one that was clicked.

A shopper who clicks the fourth item has seen the three before it (Joachims et al., "Accurately Interpreting
Clickthrough Data as Implicit Feedback", SIGIR 2005: "click > skip above"); what stands below may never have been looked
at. Of a click that is judged by a list (stream/scoreboard/join.py), the items above it become skips, the nearest first,
so many at most; none that the session clicked, as far as is known, and each once a session. Skips and dislikes are no
clicks and judge nothing: no skip follows from a skip.

A click says nothing where it is not in its list, nor where its list was popularity's: what everybody is shown is passed
over by everybody. And nothing that is old: a session that has ended would begin anew by it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from export.checks import require_finite
from export.errors import ConfigError
from export.events import NEGATIVES
from stream.messages.contract import Click
from stream.scoreboard.join import Judged
from stream.scoreboard.visit import Visit

__all__ = ["CONTEXT", "SkipConfig", "SkipCounts", "Skips"]

CONTEXT = "feedback"  # the field of a skip's context that says where it comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipConfig:
    """How much of what was passed over is told. ConfigError for values that can't be."""

    most: int = 5  # skips of one click, those next above it
    most_of_session: int = 30  # skips of a session: a state keeps 50 events, and clicks must not be crowded out
    max_age_s: float = 600.0  # a click whose ts is older says nothing
    max_sessions: int = 200_000  # of whom it is known what was skipped; those not heard of for longest are let go

    def __post_init__(self) -> None:
        require_finite(self)
        if min(self.most, self.most_of_session, self.max_sessions) < 1 or self.max_age_s <= 0:
            raise ConfigError("skips of a click and of a session, their age and the sessions known must be above 0")


class SkipCounts(msgspec.Struct):
    """What became of judged clicks, and of the items above them."""

    clicks: int = 0  # judged
    unseen: int = 0  # clicks before which no storefront said what it showed
    outside: int = 0  # clicks on an item that their list did not hold
    first: int = 0  # clicks on the first item: nothing is above it
    fallback: int = 0  # clicks in a popularity list
    old: int = 0  # clicks that are too old
    skips: int = 0  # items told as skipped
    known: int = 0  # items left out, as the session clicked or skipped them before
    beyond: int = 0  # items left out, as there were too many of the click or of the session


class _Session(msgspec.Struct, array_like=True):
    start: int  # offset of the first click of its visit: another one is another session
    clicked: set[str]
    skipped: set[str]


class Skips:
    """Remembers what sessions clicked and skipped. For one thread."""

    def __init__(self, config: SkipConfig | None = None) -> None:
        self._config = config or SkipConfig()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self.counts = SkipCounts()

    @property
    def sessions(self) -> int:
        """Of whom something is known."""
        return len(self._sessions)

    def heard(self, click: Click, visit: Visit) -> None:
        """A click of the topic, in its order: its session knows what it is about. Skips of ours come by here too."""
        session = self._session(click.session_id, visit)
        (session.clicked if click.type not in NEGATIVES else session.skipped).add(click.item_id)

    def of(self, judged: Judged, names: Sequence[str], now_ms: int) -> list[Click]:
        """Return the skips that a judged click tells of, to be published in this order.

        names: of items, by the number that lists hold them by; now_ms: ms since the epoch. The same click gives skips
        of the same content again, so that a reader can tell a repeated one (`context`).
        """
        counts = self.counts
        counts.clicks += 1
        if judged.shown.fallback and judged.rank > 1:
            counts.fallback += 1
            return []
        above = [names[number] for number in judged.shown.items[: max(judged.rank - 1, 0)]]
        where = {"list": judged.shown.source, "clicked": judged.item}
        return self._told(judged.session, judged.visit, judged.ts, judged.rank, above, where, now_ms)

    def shown(self, click: Click, visit: Visit, items: Sequence[str] | None, now_ms: int) -> list[Click]:
        """Return the skips of a click by the list that a storefront showed before it; None: it said nothing of one."""
        if click.type in NEGATIVES:
            return []
        self.counts.clicks += 1
        if items is None:
            self.counts.unseen += 1
            return []
        rank = items.index(click.item_id) + 1 if click.item_id in items else 0
        where = {"clicked": click.item_id}
        return self._told(click.session_id, visit, click.ts, rank, items[: max(rank - 1, 0)], where, now_ms)

    def _told(
        self,
        name: str,
        visit: Visit,
        ts: int,
        rank: int,
        passed: Sequence[str],
        where: dict[str, Any],
        now_ms: int,
    ) -> list[Click]:
        config, counts = self._config, self.counts
        session = self._session(name, visit)
        if rank < 2:
            counts.outside += rank == 0
            counts.first += rank == 1
            return []
        if now_ms - ts > config.max_age_s * 1000:
            counts.old += 1
            return []
        above = list(dict.fromkeys(reversed(passed)))
        fresh = [item for item in above if item not in session.clicked and item not in session.skipped]
        room = min(config.most, config.most_of_session - len(session.skipped))
        told = fresh[: max(room, 0)]
        counts.known += len(above) - len(fresh)
        counts.beyond += len(fresh) - len(told)
        counts.skips += len(told)
        session.skipped.update(told)
        return [Click(name, item, ts, "skip", None, {CONTEXT: where}) for item in told]

    def erase(self, name: str) -> int:
        """Forget a session; how many items were known of it."""
        found = self._sessions.pop(name, None)
        return 0 if found is None else len(found.clicked) + len(found.skipped)

    def stored(self) -> bytes:
        """What is remembered, for `restore`."""
        return msgspec.msgpack.encode(self._sessions)

    def restore(self, content: bytes) -> None:
        """Go on with what was remembered. msgspec.MsgspecError where it is none."""
        self._sessions = OrderedDict(msgspec.msgpack.decode(content, type=dict[str, _Session]))

    def _session(self, name: str, visit: Visit) -> _Session:
        found = self._sessions.get(name)
        if found is None or found.start != visit.start:
            found = self._sessions[name] = _Session(visit.start, set(), set())
        self._sessions.move_to_end(name)
        while len(self._sessions) > self._config.max_sessions:
            self._sessions.popitem(last=False)
        return found
