"""The options of an item table that is codes and books."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from export.codes.codes import CODE_BITS
from export.errors import ConfigError

__all__ = ["CodesConfig", "MadeBy"]

MadeBy = Literal["svd", "svd-plain", "bpr", "random"]
MOST_NAMED = 64  # splits that a message names, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesConfig:
    """An item table of codes and books (export/codes/codes.py) in place of a row an item; RecJPQ's, as published."""

    # Of the sessions: factors by SVD, as published (plain) or scaled, which is ours; by BPR; or none, the control
    made_by: MadeBy = "svd"
    splits: int = 8  # m: codes an item; must divide `hidden`
    bits: int = 8  # of a code: 8, books of 256 sub-vectors, or 4, of 16

    def __post_init__(self) -> None:
        """Raise ConfigError for codes that there are not."""
        if self.made_by not in get_args(MadeBy):
            raise ConfigError(f"items are dense, or coded by {', '.join(get_args(MadeBy))}, not {self.made_by!r}")
        if self.splits < 1:
            raise ConfigError(f"an item needs at least 1 code, got {self.splits} splits")
        if self.bits not in CODE_BITS:
            raise ConfigError(f"a code has 8 or 4 bits, not {self.bits}")

    def require_fit(self, *, hidden: int, interests: int) -> None:
        """Raise ConfigError unless an encoder's items can be coded."""
        if hidden % self.splits:
            others = [str(count) for count in range(2, min(hidden, MOST_NAMED) + 1) if hidden % count == 0]
            raise ConfigError(
                f"vectors {hidden} wide can't be split in {self.splits}: choose splits that divide it, of "
                f"{', '.join(others)}"
            )
        if interests:
            raise ConfigError("a model of several interests ranks with a dense item table: leave out the codes")
