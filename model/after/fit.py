"""Which layer a network gets: what its lists gain on held-out sessions, found on one half and confirmed on the other.

First the biases alone, then the counts with biases of their own, each kept where both halves confirm what the other
half chose, and the mean of what they confirm is large enough. What is kept is then chosen on all of the sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from export.afterwards import BARRED, AfterwardsConfig
from model.after.config import AfterConfig
from model.after.held_out import BACKWARD, DECAYS, HeldOut

__all__ = ["SHARES", "Fit", "fit"]

BIASES = (BARRED, -8.0, -4.0, -2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
AGAIN = (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
FADE = (-2.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
_OF_BIASES = {"last": BIASES, "seen": BIASES, "again": AGAIN, "fade": FADE}
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 0.95)
_Search = Callable[["_Judge"], AfterwardsConfig]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A layer, and what it gained on sessions that had not chosen it, of Recall@20 + MRR@20."""

    config: AfterwardsConfig  # the network alone where it neither counts nor is biased
    predictions: int  # that decided
    before: float = 0.0  # Recall@20 + MRR@20 of the network alone, on these
    bias_gain: float = 0.0  # of the biases
    counts_gain: float = 0.0  # of the counts, above that


class _Judge:
    """Says how good a layer is on some of the predictions; remembers. `most`: the largest bias that it looks at."""

    def __init__(self, held: HeldOut, most: float) -> None:
        self._held, self._known, self.most = held, dict[AfterwardsConfig, NDArray[np.float64]](), most
        self.rows = np.ones(held.predictions, np.bool_)

    def gains(self, config: AfterwardsConfig) -> NDArray[np.float64]:
        if config not in self._known:
            self._known[config] = self._held.gains(config)
        return self._known[config]

    def on(self, rows: NDArray[np.bool_]) -> _Judge:
        """Return one of other predictions, with the same memory."""
        other = _Judge(self._held, self.most)
        other._known, other.rows = self._known, rows
        return other

    def best(self, configs: Iterable[AfterwardsConfig]) -> AfterwardsConfig:
        """Return the best, of equal ones the first."""
        return max(configs, key=lambda one: float(self.gains(one)[self.rows].mean()))

    def lightest(self, best: AfterwardsConfig) -> AfterwardsConfig:
        """Return it with the smallest share of counts that is no more than a standard error behind (Breiman et al.,
        "Classification and Regression Trees", 1984, section 3.4.3).

        What is published has learned for longer than what is judged, and needs less of them.
        """
        gains = self.gains(best)[self.rows]
        for share in (share for share in SHARES if share < best.share):
            lighter = replace(best, share=share)
            behind = gains - self.gains(lighter)[self.rows]
            if float(behind.mean()) <= float(behind.std()) / len(behind) ** 0.5:
                return lighter
        return best


def fit(held: HeldOut, config: AfterConfig, *, counted: bool = True, lightest: bool = False) -> Fit:
    """Return the layer that `config` allows. counted: whether counts may have a part; lightest: of shares about as good
    the smallest, for a network that goes on learning."""
    judge, halves, alone = _Judge(held, config.most_bias), (~held.half, held.half), AfterwardsConfig()
    forced = config.counts == "on"
    before = float(judge.gains(alone).mean())
    if not all(half.any() for half in halves):
        return Fit(config=alone, predictions=held.predictions, before=before)
    bias_gain, found = _confirmed(judge, halves, _biases, lambda _: alone)
    biased = found if forced or bias_gain >= config.least_bias else alone
    chosen, counts_gain = biased, 0.0
    if counted:
        base: _Search = _biases if biased.biased else lambda _: alone
        counts_gain, found = _confirmed(judge, halves, _counts, base)
        chosen = found if forced or counts_gain >= config.least_counts else biased
        chosen = judge.lightest(chosen) if lightest else chosen
    return Fit(
        config=chosen,
        predictions=held.predictions,
        before=round(before, 5),
        bias_gain=round(bias_gain, 5) if biased.biased else 0.0,
        counts_gain=round(counts_gain, 5) if chosen.counts else 0.0,
    )


def _confirmed(
    judge: _Judge, halves: tuple[NDArray[np.bool_], ...], search: _Search, base: _Search
) -> tuple[float, AfterwardsConfig]:
    """Return what `search` gains above `base`, both run on one half and judged on the other; and its choice on all.

    The gain is that of both halves together, and 0 at most where one of them does not confirm it."""
    gained = []
    for own, other in (halves, halves[::-1]):
        on = judge.on(own)
        gained.append((judge.gains(search(on)) - judge.gains(base(on)))[other])
    mean = float(np.concatenate(gained).mean())
    confirmed = all(float(part.mean()) > 0.0 for part in gained)
    return (mean if confirmed else min(mean, 0.0)), search(judge)


def _biases(judge: _Judge, start: AfterwardsConfig | None = None) -> AfterwardsConfig:
    """Return the best biases, one after the other, twice."""
    found = start or AfterwardsConfig()
    for _ in range(2):
        for name, values in _OF_BIASES.items():
            found = judge.best(_varied(found, name, [value for value in values if value <= judge.most]))
    return found


def _counts(judge: _Judge) -> AfterwardsConfig:
    """Return the best counts, then biases beside them, then counts beside these."""
    found = _biases(judge)
    for _ in range(2):
        found = judge.best(
            replace(found, backward=backward, decay=decay, newest=newest, share=share)
            for (decay, newest), backward, share in product(DECAYS, BACKWARD, SHARES)
        )
        found = _biases(judge, found)
    return found


def _varied(config: AfterwardsConfig, name: str, values: Iterable[float]) -> Iterator[AfterwardsConfig]:
    """Yield the layer itself, then those with other values of one field."""
    yield config
    yield from (replace(config, **{name: value}) for value in values)  # type: ignore[arg-type]
