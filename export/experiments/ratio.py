"""Whether sessions came to the variants in the shares that were promised, looked at as often as one likes.

Where they did not, sessions of one variant were lost more than of another, and no comparison of them is sound. The
test is a mixture of multinomials against the promised one: under the promised shares the evidence exceeds 1 / alpha, at
any time, with probability alpha at most. Source: Lindon, Malek, "Anytime-valid inference for multinomial count data",
NeurIPS 2022 (section 3).
"""

from collections.abc import Sequence
from math import lgamma, log

from export.errors import ConfigError

__all__ = ["evidence", "is_ratio_ok"]

_PRIOR = 100.0  # weight of the promised shares in the mixture: deviations of some percent are found soonest
_ALPHA = 0.001  # an alarm says that something is broken: it must be rare


def evidence(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Natural logarithm of the evidence against the shares (any positive weights). ConfigError where they don't fit."""
    if len(counts) != len(shares) or not shares or min(shares) <= 0 or min(counts, default=0) < 0:
        raise ConfigError(f"{len(counts)} counts, not negative, need as many positive shares, not {list(shares)}")
    whole = float(sum(shares))
    promised = [share / whole for share in shares]
    prior = [_PRIOR * len(shares) * share for share in promised]
    n = sum(counts)
    mixed = lgamma(sum(prior)) - lgamma(sum(prior) + n)
    mixed += sum(lgamma(weight + count) - lgamma(weight) for weight, count in zip(prior, counts, strict=True))
    return mixed - sum(count * log(share) for count, share in zip(counts, promised, strict=True))


def is_ratio_ok(counts: Sequence[int], shares: Sequence[float], *, alpha: float = _ALPHA) -> bool:
    """False where the sessions by variant are not in the promised shares, but for a chance of alpha over all looks."""
    return evidence(counts, shares) < -log(alpha)
