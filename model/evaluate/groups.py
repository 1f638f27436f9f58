"""Figures broken down: by consecutive repeats, by how much was given, by the target's frequency, by any column.

Every prediction is in one group of each kind. Repeats: the target is the item just clicked before it, or not. Length:
clicks given. Frequency: head, mid or tail item by the clicks that the system learned from (`lists.py`). A column: its
value on the line of the click that is looked for; numbers of many values in bands of about equal counts.
Legend: P predictions, T clicks, G groups of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from export.events import is_wanted
from model.data.log import SessionLog
from model.data.readers.build import rows_of
from model.data.readers.raw import RawLog
from model.evaluate.lists import bands_by_clicks
from model.evaluate.metrics import gains

__all__ = ["Grouped", "Groups", "grouped", "groups_of_column", "rows", "standing_groups"]

LENGTHS = {"1": 1, "2": 2, "3-4": 4, "5-9": 9, "10-19": 19}  # clicks given, at most
LONGER = "20 and more"
MOST = 20  # values of a column that are shown by themselves
BANDS = 5  # of a column of numbers that has more of them
OTHERS, NONE = "others", "none"

Grouped = dict[str, dict[str, dict[str, float]]]  # kind -> group -> figures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """One way to tell predictions apart."""

    name: str
    labels: Sequence[str]  # (G,)
    of: NDArray[np.int64]  # (P,) group of each prediction, by click


def standing_groups(log: SessionLog, popularity: NDArray[np.int64]) -> list[Groups]:
    """Return the groups by repeats, length and frequency. popularity (V,): clicks that the system learned from."""
    log = log.wanted()
    targets = log.predicted
    given = targets - np.repeat(log.offsets[:-1], log.lengths)[targets]
    repeats = (log.items[targets] == log.items[targets - 1]).astype(np.int64)
    length = np.searchsorted(np.array(list(LENGTHS.values())), given)
    frequency = bands_by_clicks(popularity)[log.items[targets] - 1]
    return [
        Groups(name="repeats", labels=("without", "repeats"), of=repeats),
        Groups(name="length", labels=(*LENGTHS, LONGER), of=length.astype(np.int64)),
        Groups(name="frequency", labels=("head", "mid", "tail"), of=frequency),
    ]


def groups_of_column(raw: RawLog, vocabulary: Vocabulary) -> Groups | None:
    """Return the groups by the further column that `raw` was read with; None without. The predictions are those of
    `build_log(raw, vocabulary)`."""
    extra = raw.extra
    if extra is None:
        return None
    rows = rows_of(raw, vocabulary)
    rows = rows[is_wanted(raw.kinds[rows] + 1)]
    sessions = raw.sessions[rows]
    rows = rows[1:][sessions[1:] == sessions[:-1]]  # of each session all but the first
    codes = extra.codes[rows]
    texts = [str(value) for value in extra.values.to_pylist()]
    numbers = _numbers(texts)
    if numbers is not None and len(np.unique(codes)) > MOST:
        return _bands(extra.name, codes, numbers)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    shown = np.argsort(-counts, kind="stable")[:MOST]
    shown = shown[counts[shown] > 0]
    if numbers is not None:
        shown = shown[np.argsort(numbers[shown])]
    place = np.full(len(texts) + 1, len(shown), np.int64)  # the last is that of code -1
    place[shown] = np.arange(len(shown))
    place[-1] = len(shown) + 1
    return Groups(name=extra.name, labels=(*(texts[code] for code in shown), OTHERS, NONE), of=place[codes])


def grouped(ranks: NDArray[np.int32], kinds: Sequence[Groups], cutoffs: Sequence[int]) -> Grouped:
    """Return recall, mrr and ndcg at each cut-off, predictions and their share, of each group that has any.

    ranks (P,): of the targets by click, from 1, 0 for none, as `EvaluationResult` has them.
    """
    by_rank = {f"{name}@{k}": gain for k in sorted(cutoffs) for name, gain in gains(k, int(max(cutoffs))).items()}
    found: Grouped = {}
    for kind in kinds:
        size = len(kind.labels)
        counts = np.bincount(kind.of, minlength=size)
        sums = {name: np.bincount(kind.of, gain[ranks], minlength=size) for name, gain in by_rank.items()}
        found[kind.name] = {
            label: {
                "predictions": float(counts[at]),
                "share": float(counts[at] / max(1, len(ranks))),
                **{name: float(total[at] / counts[at]) for name, total in sums.items()},
            }
            for at, label in enumerate(kind.labels)
            if counts[at]
        }
    return found


def rows(found: Grouped, measures: Sequence[str]) -> list[list[str]]:
    """Return a row for each group: kind, group, predictions, share, and the measures named."""
    lines = []
    for kind, groups in found.items():
        for label, figures in groups.items():
            shown = [f"{figures[name]:.4f}" for name in measures]
            lines.append([kind, label, f"{figures['predictions']:,.0f}", f"{figures['share']:.1%}", *shown])
    return lines


def _numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Return values as numbers; None where one is none."""
    try:
        found = np.array([float(text or 0) for text in texts], np.float64)  # an empty one is no value of any line
    except ValueError:
        return None
    return found if bool(np.isfinite(found).all()) else None


def _bands(name: str, codes: NDArray[np.int32], numbers: NDArray[np.float64]) -> Groups:
    """Bands of numbers with about as many predictions each, no value in two of them."""
    there = codes >= 0
    values = numbers[codes[there]]
    edges = np.unique(np.quantile(values, np.arange(1, BANDS) / BANDS, method="lower"))
    edges = edges[edges < values.max()]  # a band ends with its edge
    of = np.full(len(codes), len(edges) + 1, np.int64)
    of[there] = np.searchsorted(edges, values)
    lows = [values[of[there] == band].min() for band in range(len(edges) + 1)]
    highs = [*edges, values.max()]
    labels = [f"{low:g} to {high:g}" if low < high else f"{low:g}" for low, high in zip(lows, highs, strict=True)]
    return Groups(name=name, labels=(*labels, NONE), of=of)
