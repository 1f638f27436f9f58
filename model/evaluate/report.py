"""The figures of `nextclick evaluate`: a bundle or a baseline on a held-out log, by one protocol."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import load_bundle
from export.bundle.vocabulary import Vocabulary
from export.events import is_wanted
from export.items.table import ItemTable
from export.policy.unknown import say_unknown
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.addresses import local_bundle
from model.data.items.read import read_items
from model.data.overlap import overlap
from model.data.readers import KINDS, RawLog, ReadOptions, build_log, read_log
from model.evaluate.baselines.baselines import bounded, make_baseline
from model.evaluate.by_policy import PolicyScorer, one_list
from model.evaluate.groups import grouped, groups_of_column, standing_groups
from model.evaluate.pairwise import pairwise_accuracy, ranker_scores
from model.evaluate.protocol import Scorer, evaluate

__all__ = [
    "Say",
    "evaluate_baseline",
    "evaluate_bundle",
    "of_interest",
    "pairwise",
    "read_aloud",
    "read_items_aloud",
    "silent",
    "tell_overlap",
    "with_column",
]

Say = Callable[[str], None]  # is told a line for people


def silent(text: str) -> None:
    """Tell nobody."""


def evaluate_bundle(
    bundle: Path | str,
    data: Path,
    read: ReadOptions,
    cutoffs: Sequence[int] = (20,),
    threads: int = 0,
    *,
    train: Path | None = None,
    policy: Path | None = None,
    placement: str | None = None,
    items: Path | None = None,
    by: str | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Return the figures of the exported graph, through the Ranker that serves it.

    `policy`: a file of lists, one of which is measured (`placement`) as shoppers would get it; `items`: files of what
    is known of the items, which it looks at. `bundle` is a folder or the URL of a version. Clicks on items that it
    doesn't know are dropped, then sessions of fewer than two clicks; `left_out` says how many clicks that were. `say`
    is told what was read, and how much of it stands in the log `train` too. DataError where none is left, BundleError
    for a bundle that can't be used, ConfigError for a cut-off above its `k_max`, or a policy that can't be used.
    """
    ranker = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(threads=threads))
    every = read_aloud(
        data, replace(with_column(read, by), kinds=frozenset(KINDS)), say
    )  # a no is asked for, too: pairwise accuracy
    raw = every if ranker.typed else of_interest(every)
    if train is not None:
        tell_overlap(read_aloud(train, read, say), of_interest(every), say)
    popularity = ranker.bundle.popularity
    if policy is None:
        found = _figures(ranker, raw, ranker.vocabulary, popularity, cutoffs, ranker.window)
        return {**found, **pairwise(ranker, every)}
    k = min(max(cutoffs, default=1), len(ranker.vocabulary))
    table, config = None if items is None else read_items_aloud(items, say), one_list(policy, placement, k)
    if items is None and config.reads_items:
        say("nothing is known of the items, so filters, caps and boosts do nothing: name their files by --items")
    for line in say_unknown(config, ranker.vocabulary, ranker.version, table):
        say(line)
    scorer = PolicyScorer(ranker, config, table)
    found = _figures(scorer, raw, ranker.vocabulary, popularity, cutoffs, ranker.window)
    counts = scorer.counts
    return {
        **found,
        "short": counts.short,
        "filled": counts.filled,
        "unfiltered": counts.unfiltered,
        "hidden": counts.hidden,
    }


def pairwise(ranker: Ranker, raw: RawLog) -> dict[str, float]:
    """Return pairwise accuracy where the log says no to something, and the graph can score given items; else {}."""
    if "also" not in ranker.takes or of_interest(raw).clicks == raw.clicks:
        return {}
    log = build_log(raw, ranker.vocabulary)
    return pairwise_accuracy(ranker_scores(ranker, log), log)


def of_interest(raw: RawLog) -> RawLog:
    """Return a log without skips and dislikes, as one that was read without them."""
    return replace(raw.select(is_wanted(raw.kinds + 1)), typed=False) if raw.typed else raw


def evaluate_baseline(
    name: str,
    train: Path,
    data: Path,
    read: ReadOptions,
    cutoffs: Sequence[int] = (20,),
    *,
    by: str | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Return the figures of the baseline `name`, counted on the log `train`. ConfigError for an unknown name.

    `say` is told what was read, and how much of both logs is the same.
    """
    learned = read_aloud(train, read, say)
    raw = read_aloud(data, with_column(read, by), say)
    tell_overlap(learned, raw, say)
    counted = build_log(learned)
    if note := bounded(name, counted):
        say(note)
    return _figures(make_baseline(name, counted), raw, counted.vocabulary, counted.popularity(), cutoffs)


def with_column(read: ReadOptions, by: str | None) -> ReadOptions:
    """Return options that keep a further column, by which figures are broken down."""
    return read if by is None else replace(read, columns=replace(read.columns, extra=by))


def read_aloud(path: Path, read: ReadOptions, say: Say) -> RawLog:
    """Return a log, and say what was read of it."""
    raw = read_log(path, read)
    for line in raw.report.told(str(path)):
        say(line)
    return raw


def read_items_aloud(path: Path, say: Say = silent) -> ItemTable:
    """Return what files say of items, and say what was read of them."""
    found = read_items(path)
    for line in (found.report.summary(), *found.report.shown()):
        say(line)
    return found.table


def tell_overlap(train: RawLog, held_out: RawLog, say: Say) -> None:
    """Say how much of a held-out log stands in the training log too, if any."""
    if warning := overlap(train, held_out).warning("the evaluated log"):
        say(f"warning: {warning}")


def _figures(
    scorer: Scorer,
    raw: RawLog,
    vocabulary: Vocabulary,
    popularity: NDArray[np.int64],
    cutoffs: Sequence[int],
    window: int | None = None,
) -> dict[str, Any]:
    log = build_log(raw, vocabulary)
    found = evaluate(scorer, log, cutoffs=cutoffs, window=window, popularity=popularity)
    column = groups_of_column(raw, vocabulary)
    kinds = [*standing_groups(log, popularity), *([] if column is None else [column])]
    clicks = of_interest(raw).clicks
    return {
        **found.to_json(),
        "clicks": clicks,
        "left_out": clicks - log.wanted().clicks,
        "groups": grouped(found.ranks, kinds, cutoffs),
    }
