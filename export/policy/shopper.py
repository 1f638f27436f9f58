"""What a list must know of the session it is for."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.events import codes_of
from export.policy.config import Excluded

__all__ = ["Shopper", "excluded_items"]

_LETTERS: dict[Excluded, str] = {"carted": "a", "bought": "o", "disliked": "d", "skipped": "s"}


class Shopper(NamedTuple):
    """A session's events, oldest first."""

    items: Sequence[str]  # the shop's ids
    kinds: str  # a letter an event: click, cart (a), order, like, skip, dislike

    @classmethod
    def of_clicks(cls, items: Sequence[str]) -> "Shopper":
        """Return a session of clicks only."""
        return cls(items, "c" * len(items))

    @property
    def interest(self) -> Sequence[str]:
        """The items of interest: what was skipped or disliked is none."""
        if "s" not in self.kinds and "d" not in self.kinds:
            return self.items
        return [item for item, kind in zip(self.items, self.kinds, strict=True) if kind not in "sd"]

    @property
    def codes(self) -> NDArray[np.int32]:
        """The code of each event (export/events.py)."""
        return codes_of(self.kinds)

    @property
    def disliked(self) -> list[str]:
        """The items whose newest judgement is a dislike: a later click, cart, order or like takes it back."""
        if "d" not in self.kinds:
            return []
        judged = {item: kind for item, kind in zip(self.items, self.kinds, strict=True) if kind != "s"}
        return [item for item, kind in judged.items() if kind == "d"]


def excluded_items(shopper: Shopper, exclude: Iterable[Excluded]) -> set[str]:
    """Return the session's items that a list must not hold."""
    found: set[str] = set()
    for what in exclude:
        if what == "seen":
            return set(shopper.items)
        if what == "disliked":
            found.update(shopper.disliked)
        elif (letter := _LETTERS[what]) in shopper.kinds:
            found.update(item for item, kind in zip(shopper.items, shopper.kinds, strict=True) if kind == letter)
    return found
