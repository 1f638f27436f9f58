"""One shopper to watch: the clicks of a session, and the top of the list each of them brought."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Spotlight", "SpotlightRow"]

ROWS = 6  # clicks kept for the view
TOP = 5  # items of each list
OVER_S = 6.0  # a session silent for so long makes room for another


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotlightRow:
    """One click of the shopper watched, and its answer once it is there."""

    item: str
    hit: bool | None  # whether the list before it held the item; None where there was none
    top: tuple[str, ...] = ()  # best first
    model: str = ""
    number: int = 0  # of the click within the session, from 1


@dataclass(slots=True)
class Spotlight:
    """Follows a session from its first click until it falls silent, then the next one that begins. Not thread-safe."""

    session: str | None = None
    rows: deque[SpotlightRow] = field(default_factory=lambda: deque(maxlen=ROWS))
    _last: float = 0.0
    _shown: frozenset[str] = frozenset()  # the newest list of the session watched

    def clicked(self, session: str, item: str, begins: bool, at: float) -> None:
        """A shopper clicked; `begins`: it is the first click of the session."""
        if session != self.session:
            if not begins or (self.session is not None and at - self._last < OVER_S):
                return
            self.session, self._shown = session, frozenset()
            self.rows.clear()
        self._last = at
        hit = item in self._shown if self._shown else None
        number = self.rows[-1].number + 1 if self.rows else 1
        self.rows.append(SpotlightRow(item=item, hit=hit, number=number))

    def answered(self, session: str, items: Sequence[str], model: str, at: float) -> None:
        """A list arrived: it belongs to the newest click."""
        if session != self.session or not self.rows:
            return
        self._last, self._shown = max(self._last, at), frozenset(items)
        self.rows[-1] = replace(self.rows[-1], top=tuple(items[:TOP]), model=model)
