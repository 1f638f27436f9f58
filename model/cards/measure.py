"""The figures of a bundle as its card has them: through the ranker that serves it, with intervals, by groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from export.bundle.bundle import Bundle
from export.ranking.ranker import Ranker, RankerConfig
from model.data.log import SessionLog
from model.evaluate.bootstrap import interval, resampled_means
from model.evaluate.compare import session_sums
from model.evaluate.groups import Grouped, grouped, standing_groups
from model.evaluate.metrics import CUTOFF, MAIN, SECOND
from model.evaluate.protocol import evaluate

__all__ = ["Measured", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one bundle reaches on held-out sessions."""

    figures: dict[str, float]
    sessions: int  # they are of
    groups: Grouped = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, by bootstrap over sessions


def measured(bundle: Bundle, valid: SessionLog, threads: int = 0) -> Measured:
    """Evaluate a bundle on sessions in its vocabulary, newcomers apart."""
    ranker = Ranker(bundle, RankerConfig(threads=threads))
    log = replace(valid, vocabulary=bundle.vocabulary)  # newcomers stand behind the items that it has
    found = evaluate(ranker, log, window=bundle.manifest.window, popularity=bundle.popularity)
    wanted = log.wanted()
    sums = session_sums(found.ranks, wanted, (CUTOFF,))
    columns = np.column_stack([sums[MAIN], sums[SECOND]])
    some = wanted.lengths > 1
    means = resampled_means(columns[some], (wanted.lengths[some] - 1).astype(np.float64))
    return Measured(
        figures=found.to_json(),
        sessions=found.sessions,
        groups=grouped(found.ranks, standing_groups(log, bundle.popularity), (CUTOFF,)),
        intervals={name: interval(means[:, at]) for at, name in enumerate((MAIN, SECOND))},
    )
