"""What held-out sessions say of a layer, made compact once, so that each setting is judged in milliseconds.

An item's place among the first 20 can change by the items that the layer touches alone: neighbours of the newest clicks
rise, items of the session move. So of each prediction there are kept the network's best, the session's items, and the
neighbours, with what the network and the counts say of them: every list of 20 is made of these.

Legend: P predictions, B of them at once, L clicks given, V catalogue, N entries kept of all predictions together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from export.afterwards import AfterwardsConfig, reads
from export.bundle.vocabulary import PAD
from export.ranking.ragged import padded
from model.after.pairs import Neighbours, best_neighbours
from model.data.log import SessionLog
from model.evaluate.metrics import CUTOFF
from model.evaluate.protocol import prefixes
from model.nets.serving import ServingModel

__all__ = ["BACKWARD", "DECAYS", "Entries", "HeldOut", "held_out"]

BACKWARD = (0.0, 0.3, 1.0)  # what an item that came before counts
DECAYS = ((0.0, 1), (0.5, 4), (0.8, 8))  # what older clicks' counts count, and of how many clicks
SESSIONS = 1_500  # held-out ones, evenly over their time
PREDICTIONS = 6_000  # of these
CELLS = 1 << 24  # scores held at once, 64 MiB
_ABSENT = 1 << 20  # a rank beyond all lists


@dataclass(frozen=True, slots=True)
class Entries:
    """What is kept of the predictions, for one weight of what came before: rows of N; M of them are sessions' own."""

    of: NDArray[np.int64]  # prediction, ascending
    probability: NDArray[np.float32]  # by the network's softmax
    counted: list[NDArray[np.float32]]  # c, for each of DECAYS
    held: NDArray[np.int64]  # (M,) entries of the sessions' own items
    times: NDArray[np.float32]  # (M,) log of how often the session has each
    back: NDArray[np.float32]  # (M,) log of 1 + clicks since the newest of these
    target: NDArray[np.int64]  # (P,) entry of what was clicked, -1 where it can be in no list


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions on held-out sessions."""

    entries: dict[float, Entries]  # by the weight of what came before
    half: NDArray[np.bool_]  # (P,) of the second half of the sessions, every other one

    @property
    def predictions(self) -> int:
        """P."""
        return len(self.half)

    def ranks(self, config: AfterwardsConfig) -> NDArray[np.int64]:
        """Return the rank (P,) of each target under a layer, 1 the best; ties count against it."""
        entries = self.entries[config.backward]
        mixed = entries.probability.astype(np.float64)
        if config.counts:
            mixed += config.weight * entries.counted[DECAYS.index((config.decay, config.newest))]
        if config.biased:
            bias = np.where(entries.back == 0.0, config.last, config.seen)
            mixed[entries.held] *= np.exp(bias + config.again * entries.times + config.fade * entries.back)
        own = np.where(entries.target < 0, np.inf, mixed[entries.target])
        ranks = np.bincount(entries.of[mixed >= own[entries.of]], minlength=self.predictions)
        return np.where(entries.target < 0, _ABSENT, ranks)

    def gains(self, config: AfterwardsConfig) -> NDArray[np.float64]:
        """Return (P,) what each prediction adds to Recall@20 + MRR@20."""
        ranks = self.ranks(config)
        return np.asarray(np.where(ranks <= CUTOFF, 1.0 + 1.0 / np.maximum(ranks, 1), 0.0))


@torch.inference_mode()
def held_out(serving: ServingModel, log: SessionLog, valid: SessionLog) -> HeldOut | None:
    """Return what a network and the counts of `log` say on held-out sessions; None where nothing is to be predicted."""
    valid = valid.wanted().thinned(SESSIONS)
    starts, targets = prefixes(valid, serving.window)
    every = slice(None, None, -(-len(targets) // PREDICTIONS) or None)
    starts, targets = starts[every], targets[every]
    if not len(targets):
        return None
    rows = np.unique(valid.items)
    tables = dict(zip(BACKWARD, best_neighbours(log, rows, BACKWARD), strict=True))
    place = np.zeros(len(log.vocabulary) + 1, np.int64)
    place[rows] = np.arange(len(rows))
    parts: dict[float, list[Entries]] = {weight: [] for weight in BACKWARD}
    for first, ids, scores in _scored(serving, valid, starts, targets):
        clicked = valid.items[targets[first : first + len(ids)]]
        best = torch.topk(scores, min(CUTOFF + ids.shape[1], scores.shape[1]), dim=1)[1].numpy() + PAD + 1
        said = scores.numpy(), scores.logsumexp(dim=1).numpy()
        for weight, table in tables.items():
            parts[weight].append(_entries(first, ids, clicked, *said, best, table, place))
    session = np.searchsorted(valid.offsets, targets, side="right")
    return HeldOut({weight: _joined(some) for weight, some in parts.items()}, session % 2 == 1)


def _scored(
    serving: ServingModel, valid: SessionLog, starts: NDArray[np.int64], targets: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int32], torch.Tensor]]:
    """Yield the number of the first prediction, ids (B, L) and scores (B, V); the shortest first."""
    items = len(serving.encoders[0].table) - 1
    at_once = max(1, min(256, CELLS // items))
    for first in range(0, len(targets), at_once):
        spans = list(zip(starts[first : first + at_once], targets[first : first + at_once], strict=True))
        given = np.concatenate([valid.items[start:end] for start, end in spans])
        ids = padded(given, np.array([end - start for start, end in spans]))
        yield first, ids, serving.scores(torch.from_numpy(ids))


def _entries(
    first: int,
    ids: NDArray[np.int32],
    clicked: NDArray[np.int32],
    scores: NDArray[np.float32],
    norm: NDArray[np.float32],
    best: NDArray[np.integer],
    table: Neighbours,
    place: NDArray[np.int64],
) -> Entries:
    """ids (B, L) of the sessions, clicked (B,) what is looked for, scores (B, V), norm (B,) the log of the sum of their
    exp, best (B, M) ids of the network's best."""
    base, row = len(place), np.arange(len(ids))[:, None]
    length = (ids != PAD).sum(axis=1)
    counts = [_counts(ids, length, table, place, decay, newest) for decay, newest in DECAYS]
    keys = np.unique(np.concatenate([(row * base + some).ravel() for some in (best, ids, *(one[0] for one in counts))]))
    keys = keys[keys % base != PAD]
    counted = []
    for neighbours, weights in counts:
        at = np.searchsorted(keys, row * base + neighbours)
        real = neighbours != PAD
        counted.append(np.bincount(at[real], weights[real], len(keys)).astype(np.float32))
    times, since = np.zeros(len(keys), np.int64), np.full(len(keys), ids.shape[1])
    own = np.searchsorted(keys, (row * base + ids)[ids != PAD])
    np.add.at(times, own, 1)
    np.minimum.at(since, own, (length[:, None] - np.arange(ids.shape[1]))[ids != PAD])
    held, of = np.flatnonzero(times), keys // base
    wanted = row[:, 0] * base + clicked
    target = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return Entries(
        of=first + of,
        probability=np.exp(scores[of, keys % base - (PAD + 1)] - norm[of]),  # of few of the V
        counted=counted,
        held=held,
        times=np.log(times[held], dtype=np.float32),
        back=np.log(since[held], dtype=np.float32),
        target=np.where(keys[target] == wanted, target, -1),
    )


def _counts(
    ids: NDArray[np.int32],
    length: NDArray[np.int64],
    table: Neighbours,
    place: NDArray[np.int64],
    decay: float,
    newest: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the neighbours (B, M) of the newest clicks, and what each adds to c; as the graph reads them."""
    config = AfterwardsConfig(decay=decay, newest=newest)
    every, shares, total = [], [], np.zeros((len(ids), 1))
    for back, most in enumerate(reads(config)):
        at = length - (1 + back)
        there = ((at >= 0) * decay**back)[:, None]
        rows = place[ids[np.arange(len(ids)), np.maximum(at, 0)]]
        every.append(np.where(there > 0, table.ids[rows, :most], PAD))
        shares.append(table.weights[rows, :most] * there)
        total += there
    return np.concatenate(every, axis=1), (np.concatenate(shares, axis=1) / total).astype(np.float32)


def _joined(parts: Sequence[Entries]) -> Entries:
    sizes = np.cumsum([0, *(len(part.of) for part in parts)])
    return Entries(
        of=np.concatenate([part.of for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        counted=[np.concatenate([part.counted[i] for part in parts]) for i in range(len(DECAYS))],
        held=np.concatenate([part.held + size for part, size in zip(parts, sizes, strict=False)]),
        times=np.concatenate([part.times for part in parts]),
        back=np.concatenate([part.back for part in parts]),
        target=np.concatenate(
            [np.where(part.target < 0, -1, part.target + size) for part, size in zip(parts, sizes, strict=False)]
        ),
    )
