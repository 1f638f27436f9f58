"""Which of two models the sessions prefer whose lists were drafted from both."""

import math

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
