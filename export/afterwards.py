"""What a layer behind a network does to its scores, as a manifest records it; what it is: `export/graph/after.py`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["BARRED", "LARGEST", "NEIGHBOURS", "AfterwardsConfig", "config_of", "reads"]

NEIGHBOURS = 100  # N, most neighbours of an item
LARGEST = 80.0  # of a norm: exp of more does not fit float32
BARRED = -1_000.0  # a bias no score makes up for: such items come when all others are listed, as no list is cut short


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterwardsConfig:
    """What a layer does; found on held-out sessions (model/after/fit.py)."""

    last: float = 0.0  # bias of the newest click's item; BARRED: it comes last
    seen: float = 0.0  # of the session's other items
    again: float = 0.0  # and of both, times the log of how often the session has the item
    fade: float = 0.0  # times the log of 1 + how many clicks ago that was, the newest 0; below 0, older ones fall
    share: float = 0.0  # lambda, the counts' part in the mixture, in [0, 1); 0: no counts
    decay: float = 0.0  # d, what a click's counts weigh against those of the click after it
    newest: int = 1  # n, clicks whose counts are read
    backward: float = 0.0  # what an item that came before counts, where one that came after counts 1

    def __post_init__(self) -> None:
        """ConfigError for values that mean nothing."""
        require_finite(self)
        if not all(type(value) in (int, float) for value in asdict(self).values()) or type(self.newest) is not int:
            raise ConfigError("afterwards: all fields are numbers, `newest` a whole one")
        if max(map(abs, (self.last, self.seen, self.again, self.fade))) > -BARRED:
            raise ConfigError(f"afterwards: biases lie within {BARRED:g} and {-BARRED:g}")
        if not 0.0 <= self.share < 1.0 or not 0.0 <= self.decay <= 1.0 or self.newest < 1 or self.backward < 0.0:
            raise ConfigError(
                "afterwards: the share is in [0, 1), decay in [0, 1], newest at least 1, backward not negative"
            )

    @property
    def counts(self) -> bool:
        """Whether counts have a part."""
        return self.share > 0.0

    @property
    def biased(self) -> bool:
        """Whether the session's own items are ranked otherwise."""
        return any((self.last, self.seen, self.again, self.fade))

    @property
    def weight(self) -> float:
        """m, what a count weighs against a probability of the network's softmax."""
        return self.share / (1.0 - self.share)


def reads(config: AfterwardsConfig) -> list[int]:
    """Return how many neighbours are read of each of the newest clicks, the newest first."""
    return [max(1, math.ceil(NEIGHBOURS * config.decay**back)) for back in range(config.newest)]


def config_of(record: Mapping[str, Any]) -> AfterwardsConfig:
    """Return the layer of a manifest's record; one that changes nothing where there is none. ConfigError for values
    that mean nothing."""
    names = asdict(AfterwardsConfig())
    return AfterwardsConfig(**{name: value for name, value in record.items() if name in names})
