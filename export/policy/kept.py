"""Arrays that many lists ask for, kept as long as the items and the policy stay as they are."""

from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kept"]

_MOST_NUMBERS = 4_000_000  # of all arrays, 4 bytes each
_KEY = 1_000  # numbers that a key counts as


class Kept:
    """Arrays by what they are asked for. Beyond a bound all are forgotten, as it is cheap to find them again."""

    def __init__(self) -> None:
        self._found: dict[Hashable, NDArray[np.int32] | None] = {}
        self._numbers = 0

    def get(self, key: Hashable, find: Callable[[], NDArray[np.int32] | None]) -> NDArray[np.int32] | None:
        """Return what `find` returned for the key."""
        if key not in self._found:
            found = find()
            self._numbers += _KEY + (0 if found is None else len(found))
            if self._numbers > _MOST_NUMBERS:
                self._found, self._numbers = {}, 0
            self._found[key] = found
        return self._found[key]
