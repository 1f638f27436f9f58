"""The figures of `nextclick evaluate`: a bundle or a baseline on a held-out log, by one protocol."""

from collections.abc import Sequence
from pathlib import Path

from export.bundle.bundle import load_bundle
from export.bundle.vocabulary import Vocabulary
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import local_bundle
from model.data.readers import RawLog, ReadOptions, build_log, read_log
from model.evaluate.baselines import make_baseline
from model.evaluate.protocol import Scorer, evaluate

__all__ = ["evaluate_baseline", "evaluate_bundle"]


def evaluate_bundle(
    bundle: Path | str, data: Path, read: ReadOptions, cutoffs: Sequence[int] = (20,), threads: int = 0
) -> dict[str, float]:
    """Return the figures of the exported graph, through the Ranker that serves it.

    `bundle` is a folder or the URL of a version. Clicks on items that it doesn't know are dropped, then sessions of
    fewer than two clicks; `left_out` says how many clicks that were. DataError where none is left, BundleError for a
    bundle that can't be used, ConfigError for a cut-off above its `k_max`.
    """
    ranker = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(threads=threads))
    return _figures(ranker, read_log(data, read), ranker.vocabulary, cutoffs, ranker.window)


def evaluate_baseline(
    name: str, train: Path, data: Path, read: ReadOptions, cutoffs: Sequence[int] = (20,)
) -> dict[str, float]:
    """Return the figures of the baseline `name`, counted on the log `train`. ConfigError for an unknown name."""
    counted = build_log(read_log(train, read))
    return _figures(make_baseline(name, counted), read_log(data, read), counted.vocabulary, cutoffs)


def _figures(
    scorer: Scorer, raw: RawLog, vocabulary: Vocabulary, cutoffs: Sequence[int], window: int | None = None
) -> dict[str, float]:
    log = build_log(raw, vocabulary)
    found = evaluate(scorer, log, cutoffs=cutoffs, window=window)
    return {**found.to_json(), "clicks": raw.clicks, "left_out": raw.clicks - log.clicks}
