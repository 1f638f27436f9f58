"""The figures of `nextclick evaluate`: a bundle or a baseline on a held-out log, by one protocol."""

from collections.abc import Sequence
from pathlib import Path

from export.bundle import load_bundle
from export.ranker import Ranker, RankerConfig
from model.baselines import make_baseline
from model.evaluate import evaluate
from model.readers import ReadOptions, build_log, read_log

__all__ = ["evaluate_baseline", "evaluate_bundle"]


def evaluate_bundle(
    bundle: Path, data: Path, read: ReadOptions, cutoffs: Sequence[int] = (20,), threads: int = 0
) -> dict[str, float]:
    """Return the figures of the exported graph, through the Ranker that serves it.

    Clicks on items that the bundle doesn't know are dropped, then sessions of fewer than two clicks. DataError where
    none is left, BundleError for a bundle that can't be used, ConfigError for a cut-off above its `k_max`.
    """
    ranker = Ranker(load_bundle(bundle), RankerConfig(threads=threads))
    log = build_log(read_log(data, read), ranker.vocabulary)
    return evaluate(ranker, log, cutoffs=cutoffs, window=ranker.window).to_json()


def evaluate_baseline(
    name: str, train: Path, data: Path, read: ReadOptions, cutoffs: Sequence[int] = (20,)
) -> dict[str, float]:
    """Return the figures of the baseline `name`, counted on the log `train`. ConfigError for an unknown name."""
    counted = build_log(read_log(train, read))
    log = build_log(read_log(data, read), counted.vocabulary)
    return evaluate(make_baseline(name, counted), log, cutoffs=cutoffs).to_json()
