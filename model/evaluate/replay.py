"""An experiment on history: who would have been shown which variant, and whose lists held the next click.

The same code as live: the hash that assigns sessions, the ranker, team draft, tallies and confidence sequences. What a
log can't tell is how shoppers would have clicked had they been shown other lists. Repeatable to the digit: nothing is
drawn but by the hash of the experiment's name.

Legend: S sessions, P predictions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ConfigError
from export.experiments.experiment import BUCKETS, Experiment, Variant
from export.experiments.interleave import coins, credit, team_draft
from export.experiments.preference import Preference
from export.experiments.ratio import is_ratio_ok
from export.experiments.sequence import SequenceConfig, Uplift, uplift
from export.experiments.tally import Tally
from export.items.table import ItemTable
from export.policy.config import ListsConfig
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.popularity import RankedList
from export.ranking.ranker import Ranker
from model.data.gather import places
from model.data.log import SessionLog
from model.data.readers.build import build_log, in_session_order, long_enough
from model.data.readers.raw import RawLog
from model.evaluate.judge import FALLBACK, Judgement, judge, of_ranker
from model.evaluate.metrics import Metrics
from model.evaluate.protocol import prefixes

__all__ = ["ReplayConfig", "Replayed", "replay_experiment", "session_names"]

Ints = NDArray[np.int64]
_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """How history is replayed."""

    name: str = "replay"  # of the experiment: another one assigns the sessions otherwise
    k: int = 20
    exclude_seen: bool = False  # keep items of the session out of its list
    lists: ListsConfig | None = None  # one list by a shop's policy, k items long, in place of `exclude_seen`
    table: ItemTable | None = None  # what is known of the items, for that policy
    interleave: bool = False  # both models in one list, by team draft
    sequence: SequenceConfig = field(default_factory=SequenceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came out. `variants`: by name, the control first."""

    variants: dict[str, dict[str, float]]
    uplift: dict[str, Uplift]  # of each variant but the control
    sample_ratio_ok: bool
    preferred: dict[str, float] | None = (
        None  # interleaved: sessions that voted for each, and the interval of the share
    )

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints; of two variants `uplift` and `interval` are plain values, interleaved null."""
        found = {name: one.to_json() for name, one in self.uplift.items()}
        body: dict[str, Any] = {"variants": self.variants, "sample_ratio_ok": self.sample_ratio_ok}
        for key in ("uplift", "interval"):
            against = {name: one[key] for name, one in found.items()}
            body[key] = against if len(against) > 1 else next(iter(against.values()), None)
        body["against_control"] = found
        if self.preferred is not None:
            body["preferred"] = self.preferred
        return body


def replay_experiment(raw: RawLog, rankers: Mapping[str, Ranker], config: ReplayConfig | None = None) -> Replayed:
    """Replay a log. ConfigError for fewer than two variants, other than two that are interleaved, or a k too large;
    DataError where no session has two clicks."""
    config = config or ReplayConfig()
    names = list(rankers)
    share, rest = divmod(BUCKETS, max(len(names), 1))
    variants = tuple(Variant(name, share=share + (place < rest)) for place, name in enumerate(names))
    experiment = Experiment(config.name, variants, interleave=config.interleave).check()
    if config.lists is not None and config.exclude_seen:
        raise ConfigError("what is excluded is said by the policy, or by exclude_seen: not by both")
    for ranker in rankers.values():
        ranker.check_k(config.k)
    log, sessions = build_log(raw), session_names(raw)
    if config.interleave:
        return _interleaved(log, sessions, rankers, config)
    shown = np.array([names.index(found.name) if (found := experiment.variant_of(one)) else -1 for one in sessions])
    tallies, figures = {}, {}
    for place, (name, ranker) in enumerate(rankers.items()):
        own = log.select(shown == place)
        tallies[name], figures[name] = _tally(own, ranker, config)
    control = tallies[names[0]]
    return Replayed(
        variants=figures,
        uplift={name: uplift(control, tallies[name], config.sequence) for name in names[1:]},
        sample_ratio_ok=is_ratio_ok(
            np.bincount(shown[shown >= 0], minlength=len(names)).tolist(), [v.share for v in variants]
        ),
    )


def session_names(raw: RawLog) -> list[str]:
    """The ids of the sessions of `build_log(raw)`, in its order."""
    rows = long_enough(raw, places(raw.clicks), 2)
    rows, lengths = in_session_order(raw, rows)
    first = rows[np.cumsum(lengths) - lengths]
    return [str(one) for one in raw.session_ids.take(raw.sessions[first]).to_pylist()]


def _tally(log: SessionLog, ranker: Ranker, config: ReplayConfig) -> tuple[Tally, dict[str, float]]:
    if not log.sessions:
        return Tally(), {"sessions": 0}
    if config.lists is None:
        judged = judge(of_ranker(ranker), log, k=config.k, exclude_seen=config.exclude_seen)
    else:
        judged = _by_policy(log, ranker, config)
    session = np.repeat(np.arange(log.sessions), log.lengths - 1)  # (P,)
    found = judged.ranks > 0
    hits = np.bincount(session, found, minlength=log.sessions).astype(np.int64)
    reciprocal = np.bincount(session, found / np.maximum(judged.ranks, 1), minlength=log.sessions).astype(np.float64)
    tally = Tally.of(log.lengths - 1, hits, reciprocal)
    figures = {
        "sessions": tally.sessions,
        "clicks": tally.clicks,
        "hit_rate": tally.hit_rate or 0.0,
        "mrr": tally.mrr or 0.0,
        "coverage": judged.metrics[f"coverage@{config.k}"],
        "fallback": judged.metrics[FALLBACK],
    }
    return tally, figures


def _by_policy(log: SessionLog, ranker: Ranker, config: ReplayConfig) -> Judgement:
    """As `judge`, of lists as shoppers would get them, popularity's among them."""
    items, lists = log.vocabulary.items, _Lists(ranker, config)
    starts, targets = prefixes(log)
    metrics = Metrics(len(ranker.vocabulary), (config.k,))
    ranks, fallbacks = np.zeros(len(targets), np.int32), 0
    for first in range(0, len(targets), _BATCH):
        batch = slice(first, first + _BATCH)
        spans = zip(starts[batch].tolist(), targets[batch].tolist(), strict=True)
        made = lists.of([[items[item - 1] for item in log.items[start:end].tolist()] for start, end in spans])
        ids = np.zeros((len(made), config.k), np.int32)
        for row, one in zip(ids, made, strict=True):
            known = ranker.vocabulary.encode(item for item, _ in one.items[: config.k])
            row[: len(known)] = known
        looked_for = (items[item - 1] for item in log.items[targets[batch]].tolist())
        wanted = np.array([ranker.vocabulary.index(item) or -1 for item in looked_for])
        ranks[batch] = metrics.add(ids, wanted)
        fallbacks += sum(one.fallback for one in made)
    figures = {**metrics.result(), "predictions": float(len(targets)), FALLBACK: fallbacks / max(1, len(targets))}
    return Judgement(metrics=figures, ranks=ranks[np.argsort(targets)])


class _Lists:
    """Lists of sessions of clicks by one ranker, with a policy or without."""

    def __init__(self, ranker: Ranker, config: ReplayConfig) -> None:
        self._ranker, self._config = ranker, config
        self._maker = None if config.lists is None else ListMaker(ranker, config.lists, config.table)

    def of(self, sessions: Sequence[Sequence[str]]) -> list[RankedList]:
        if self._maker is None:
            return self._ranker.rank_items(sessions, self._config.k, sessions if self._config.exclude_seen else None)
        return [made[0] for made in self._maker.make([Shopper.of_clicks(session) for session in sessions])]


def _interleaved(
    log: SessionLog, sessions: Sequence[str], rankers: Mapping[str, Ranker], config: ReplayConfig
) -> Replayed:
    """Each list is drafted from both; a click on an item is a vote for the team that picked it."""
    names, both = list(rankers), [_Lists(ranker, config) for ranker in rankers.values()]
    items = log.vocabulary.items
    starts, targets = prefixes(log)
    owner = np.repeat(np.arange(log.sessions), log.lengths)
    votes = np.zeros((log.sessions, 2), np.int64)
    hits, reciprocal = np.zeros(log.sessions, np.int64), np.zeros(log.sessions)
    for first in range(0, len(targets), _BATCH):
        spans = list(
            zip(starts[first : first + _BATCH].tolist(), targets[first : first + _BATCH].tolist(), strict=True)
        )
        given = [[items[item - 1] for item in log.items[start:end].tolist()] for start, end in spans]
        lists = [one.of(given) for one in both]
        for (_, target), one, other in zip(spans, *lists, strict=True):
            session = int(owner[target])
            shown, teams = team_draft(one.items, other.items, config.k, coins(config.name, sessions[session], target))
            wanted, ids = items[int(log.items[target]) - 1], [item for item, _ in shown]
            winner = credit([names[team] for team in teams], ids, (wanted,))
            if winner is not None:
                votes[session, names.index(winner)] += 1
            if wanted in ids:
                hits[session] += 1
                reciprocal[session] += 1 / (ids.index(wanted) + 1)
    clicks = log.lengths - 1
    tallies = [Tally.of(clicks, votes[:, team], np.zeros(log.sessions)) for team in (0, 1)]
    whole = Tally.of(clicks, hits, reciprocal)
    figures = {
        name: {"sessions": tally.sessions, "clicks": tally.clicks, "hit_rate": tally.hit_rate or 0.0}
        for name, tally in zip(names, tallies, strict=True)
    }
    figures["interleaved"] = {
        "sessions": whole.sessions,
        "clicks": whole.clicks,
        "hit_rate": whole.hit_rate or 0.0,
        "mrr": whole.mrr or 0.0,
    }
    return Replayed(
        variants=figures, uplift={}, sample_ratio_ok=True, preferred=_preferred(names, votes, config.sequence)
    )


def _preferred(names: Sequence[str], votes: NDArray[np.int64], config: SequenceConfig) -> dict[str, float]:
    """Of the sessions that prefer one, the share that prefers the second, and its interval: above .5 it is better."""
    found = Preference(
        first=int(np.count_nonzero(votes[:, 0] > votes[:, 1])), second=int(np.count_nonzero(votes[:, 1] > votes[:, 0]))
    )
    return found.to_json(names, config)
