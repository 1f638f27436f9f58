"""Which of two models the sessions prefer whose lists were drafted from both."""

import math
from collections.abc import Sequence

import msgspec

from export.experiments.sequence import SequenceConfig, radius

__all__ = ["Preference"]


class Preference(msgspec.Struct):
    """Sessions by the team of whose items they clicked more; those without a preference count for neither."""

    first: int = 0
    second: int = 0

    @property
    def sessions(self) -> int:
        """Those that prefer one."""
        return self.first + self.second

    @property
    def share(self) -> float | None:
        """Of those that prefer one, how many the second; None where there are none. Equal models have .5."""
        return self.second / self.sessions if self.sessions else None

    def interval(self, config: SequenceConfig | None = None) -> tuple[float, float] | None:
        """A lasting interval of `share`; None while fewer than `least` sessions prefer one."""
        config = config or SequenceConfig()
        n, share = self.sessions, self.share
        if share is None or n < config.least:
            return None
        width = radius(n, math.sqrt(max(share * (1 - share), 1e-9)), config)
        return max(0.0, share - width), min(1.0, share + width)

    def swapped(self) -> "Preference":
        """The same with the teams' places changed."""
        return Preference(self.second, self.first)

    def to_json(self, names: Sequence[str], config: SequenceConfig | None = None) -> dict[str, float]:
        """As commands print it: the sessions by the teams' names, the share of the second, and its interval."""
        told: dict[str, float] = {names[0]: self.first, names[1]: self.second}
        if self.share is not None:
            told["share"] = self.share
        if (bounds := self.interval(config)) is not None:
            told["low"], told["high"] = bounds
        return told
