"""From what was judged to what is printed: hit rates by window, and how long new items waited for their first list."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

Series = list[float | None]


class Judged(NamedTuple):
    """A click that had a list on display."""

    at_s: float  # after the first click of the run
    hit: bool


def hit_rates(judged: Iterable[Judged], *, window_s: float, seconds: float) -> Series:
    """The share of hits in each window from 0 on; None in a window without a judged click."""
    windows = math.ceil(seconds / window_s)
    rows = [(int(at_s // window_s), hit) for at_s, hit in judged if 0 <= at_s < seconds]
    places = np.array([place for place, _ in rows], np.int64)
    counts = np.bincount(places, minlength=windows)
    hits = np.bincount(places, [float(hit) for _, hit in rows], windows)
    return [float(one / of) if of else None for one, of in zip(hits, counts, strict=True)]


def share_of_hits(judged: Iterable[Judged], since_s: float, until_s: float = math.inf) -> float | None:
    """Of the clicks of a span; None where none was judged."""
    hits = [hit for at_s, hit in judged if since_s <= at_s < until_s]
    return sum(hits) / len(hits) if hits else None


def first_waits(clicked: Mapping[str, float], listed: Mapping[str, float]) -> list[float]:
    """Seconds from each item's first click to the first list that holds it, the shortest first; inf where none did."""
    return sorted(max(listed.get(item, math.inf) - at, 0.0) for item, at in clicked.items())


def median_wait(waits: Sequence[float]) -> float | None:
    """The wait of the median item; None where half of them were in no list."""
    middle = median(waits) if waits else math.inf
    return middle if math.isfinite(middle) else None
