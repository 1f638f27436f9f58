"""First vectors of the items by what is clicked together, in place of random ones.

A random table learns which items go together one gradient at a time; where there are many items and few clicks of each,
most of a short training goes into that. The log says it at once. Two clicks of a session that are d <= 10 apart count
1 / d for both items; of these counts, each divided by the square roots of both items' sums, the leading eigenvectors,
scaled by the square roots of their eigenvalues, are vectors whose products are nearest to the counts (Eckart & Young,
Psychometrika 1936; of words: Levy & Goldberg, NeurIPS 2014). Each is given the same length, and all are turned at
random, so that no coordinate says more than another. Legend: V catalogue, H width.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.codes.svd import leading
from model.config import Preset
from model.data.log import SessionLog
from model.learn.distributed import ALONE, Team
from model.learn.seeds import WEIGHTS, seed_of
from model.learn.warm.counts import counted_together
from model.machine.memory import trim_heap
from model.nets.encoder import Encoder
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["begin_together", "directions"]

LENGTH = 1.5  # of a vector: .5 to 2 were tried, of which the longer ones are better on four logs
ROUNDS = 4  # of the subspace iteration: what follows is training
CLICKS = 4_000_000  # the newest, of a larger log: so the counts stay within bounds
PRIOR = 2.0  # added to an item's sum


def begin_together(
    encoder: Encoder, log: SessionLog, preset: Preset, on_progress: OnProgress = ignore, team: Team = ALONE
) -> float:
    """Give the item table its first vectors, where `preset` says so, the same in each process; return the seconds that
    it took.

    Items that were clicked beside no other keep the vectors they have, as does an encoder with codes.
    """
    if preset.train.first_items != "together" or not isinstance(encoder.items, nn.Embedding):
        return 0.0
    began = time.monotonic()
    width, seed = preset.encoder.hidden, seed_of(preset.train.seed, WEIGHTS)
    made: list[object] = [directions(log, width, seed) if team.leads else None]
    team.same_on_all(made)
    (found,) = made
    assert isinstance(found, np.ndarray), "process 0 made them"
    there = np.flatnonzero(found.any(axis=1))
    with torch.no_grad():
        encoder.table[torch.from_numpy(there)] = torch.from_numpy(found[there]).to(encoder.table)
    trim_heap()  # of the counts
    took = time.monotonic() - began
    what = f"vectors of {len(there):,} items begin with what is clicked together, in {took:.1f} s"
    on_progress(Progress(stage="start", message=what))
    return took


def directions(log: SessionLog, width: int, seed: int) -> NDArray[np.float32]:
    """Return vectors (V + 1, H) float32 of one length; 0 for items that were clicked beside no other."""
    items = len(log.vocabulary)
    counts = counted_together(_newest(log.wanted()))
    counts.divide(np.sqrt(counts.sums() + PRIOR).astype(np.float32))
    vectors, values = leading(counts.product, items + 1, width, seed, rounds=ROUNDS)
    vectors *= np.sqrt(np.maximum(values, 0.0)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= np.where(lengths > 1e-6, LENGTH / np.maximum(lengths, 1e-6), 0.0).astype(np.float32)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]
    return np.asarray(vectors @ turn.astype(np.float32))


def _newest(log: SessionLog) -> SessionLog:
    if log.clicks <= CLICKS:
        return log
    return log.select(np.arange(int(np.searchsorted(log.offsets, log.clicks - CLICKS)), log.sessions))
