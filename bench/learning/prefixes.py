"""What an encoder says after prefixes of a log that says what its events are: vectors, scores of given items, ranks.

As the exported graph would say it: cut to the encoder's window, told of kinds and of a preference where it takes them,
and moved away from what the session refused (export/graph/candidates.py) where a push is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph.candidates import moved_away
from model.data.log import SessionLog
from model.evaluate.pairwise import Scores
from model.nets.encoder import Encoder

__all__ = ["mean_reciprocal", "ranks_of", "refused", "repeats", "scores_of", "share", "vectors"]

Ints = NDArray[np.int64]
GONE = 1 << 30  # the rank of what is left out


def share(ranks: Ints) -> float:
    """Return Recall@20."""
    return float((ranks <= 20).mean())


def mean_reciprocal(ranks: Ints) -> float:
    """Return MRR@20."""
    return float(np.where(ranks <= 20, 1 / ranks, 0).mean())


def repeats(log: SessionLog) -> NDArray[np.bool_]:
    """Return which predictions (P,) of a log are of the item of the wanted event before."""
    rows = np.flatnonzero(log.is_wanted)
    before = rows[np.searchsorted(rows, log.predicted) - 1]
    found: NDArray[np.bool_] = log.items[before] == log.items[log.predicted]
    return found


def refused(log: SessionLog, row: Ints) -> list[int]:
    """Return the items of some events (T,) of a session, oldest first, that it said no to last."""
    judged = dict(zip(log.items[row].tolist(), log.is_wanted[row].tolist(), strict=True))
    return [item for item, wanted in judged.items() if not wanted]


def vectors(
    encoder: Encoder, log: SessionLog, starts: Ints, ends: Ints, preference: float | None = None, push: float = 0.0
) -> torch.Tensor:
    """Return the vector (B, H) of each prefix, the events starts[b]..ends[b] - 1; none may lack a wanted one."""
    typed, window = encoder.config.typed, encoder.config.window
    whole = [np.arange(a, b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    read = whole if typed else [row[log.is_wanted[row]] for row in whole]
    read = [row[-window:] for row in read]
    assert log.kinds is not None
    ids, kinds = _padded([log.items[row] for row in read]), _padded([log.kinds[row] for row in read])
    told = None if preference is None else torch.full((len(read),), preference)
    with torch.inference_mode():
        found = encoder.last(ids, kinds=kinds if typed else None, preference=told)
        if not push:
            return found
        away = _padded([np.array(refused(log, row[-window:]), np.int64) for row in whole])
        return moved_away(found, encoder.table[away], away, torch.tensor(push))


def scores_of(encoder: Encoder, log: SessionLog, push: float = 0.0) -> Scores:
    """Return what an encoder says of given items after prefixes of a log."""

    def scores(starts: Ints, ends: Ints, items: NDArray[np.int32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows = encoder.table[torch.from_numpy(items).long()]
            found = vectors(encoder, log, starts, ends, push=push) @ rows.T
        return np.asarray(found.numpy(), np.float32)

    return scores


def ranks_of(
    encoder: Encoder, log: SessionLog, preference: float | None = None, push: float = 0.0
) -> tuple[Ints, Ints]:
    """Return the rank of each wanted event but a session's first, and that without what the session said no to."""
    targets = log.predicted
    starts = np.repeat(log.offsets[:-1], log.lengths)[targets]
    ranks, without = np.empty(len(targets), np.int64), np.empty(len(targets), np.int64)
    order = np.argsort(targets - starts, kind="stable")
    table = encoder.table[1:].detach()
    for first in range(0, len(order), 128):
        part = order[first : first + 128]
        scores = vectors(encoder, log, starts[part], targets[part], preference, push) @ table.T
        places, wanted = torch.arange(len(part)), torch.from_numpy(log.items[targets[part]]).long() - 1
        own = scores[places, wanted]
        ranks[part] = (scores >= own[:, None]).sum(dim=1).numpy()
        for place, at in enumerate(part.tolist()):
            row = np.arange(starts[at], targets[at])
            no = row[~log.is_wanted[row]]
            scores[place, torch.from_numpy(log.items[no]).long() - 1] = -torch.inf
        gone = scores[places, wanted] == -torch.inf
        without[part] = torch.where(gone, GONE, (scores >= own[:, None]).sum(dim=1)).numpy()
    return ranks, without


def _padded(rows: Sequence[NDArray[Any]]) -> torch.Tensor:
    """Return rows of different lengths as one int64 (B, longest), 0 behind each."""
    found = torch.zeros(len(rows), max(1, *map(len, rows)), dtype=torch.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return found
