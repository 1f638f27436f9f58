"""Bootstrap intervals of means over predictions, resampled by session.

Predictions of one session depend on each other, so whole sessions are drawn (cluster bootstrap). All columns see the
same draws, so the difference of two columns is a paired one. Source: Efron & Tibshirani, "An Introduction to the
Bootstrap", 1993 (percentile interval); Sakai, "Evaluating evaluation metrics based on the bootstrap", SIGIR 2006.

Legend: S sessions, C columns (a measure of a system), R resamples.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["interval", "resampled_means"]

CELLS = 2_000_000  # sessions drawn at a time; 16 MB in each of three arrays

Floats = NDArray[np.float64]


def resampled_means(sums: Floats, counts: Floats, *, resamples: int = 1000, seed: int = 0) -> Floats:
    """Return the mean of each column over the predictions of each resample: (R, C).

    sums (S, C): what a session's predictions add up to; counts (S,): how many they are, at least 1. A resample draws S
    sessions with replacement. ValueError without a session or for an array of another length.
    """
    if not len(counts) or len(sums) != len(counts):
        raise ValueError(f"sums of {len(sums)} sessions, counts of {len(counts)}")
    rng = np.random.default_rng(seed)
    S = len(counts)
    columns = np.column_stack((sums, counts))  # (S, C + 1)
    totals = np.empty((resamples, columns.shape[1]))
    rows = max(1, CELLS // S)
    for first in range(0, resamples, rows):
        part = totals[first : first + rows]
        drawn = rng.integers(0, S, (len(part), S)) + np.arange(len(part))[:, None] * S  # (rows, S)
        times = np.bincount(drawn.ravel(), minlength=len(part) * S).reshape(len(part), S)  # each session was drawn
        part[:] = times.astype(np.float64) @ columns
    means: Floats = totals[:, :-1] / totals[:, -1:]
    return means


def interval(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Return the bounds that leave out equal shares of the resampled values (R,) on both sides."""
    low, high = np.quantile(values, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)
