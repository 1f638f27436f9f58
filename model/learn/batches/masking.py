"""Batches for masked training: some items of a session are hidden, and the model finds them from both sides.

Legend: S sessions, R rows, P positions a row, T masked positions.
Source: Sun et al., "BERT4Rec", CIKM 2019, section 3.6. A mask is id 0 at a position that belongs to a session.
"""

from __future__ import annotations

import numpy as np

from export.bundle.vocabulary import PAD
from model.learn.batches.packing import Ints, PackedBatch, Sessions, place, position_shift, ranges
from model.nets.config import EncoderConfig

__all__ = ["pack_masked", "pack_prefixes_masked"]


def pack_masked(
    log: Sessions, chosen: Ints, *, config: EncoderConfig, row: int, share: float, random: np.random.Generator
) -> PackedBatch:
    """Pack the newest window + 1 clicks of the sessions `chosen` (S,), a `share` of them masked, at least one of each.

    A session with no mask by chance has its last item masked, which is what serving asks for; so has every second
    session of those that have one.
    """
    end = log.offsets[chosen + 1]
    first = np.maximum(log.offsets[chosen], end - config.window - 1)
    lengths = end - first
    clicks, sessions, _ = ranges(first, lengths)
    last = np.cumsum(lengths) - 1
    masked = random.random(len(clicks)) < share
    only_last = random.random(len(lengths)) < 0.5
    masked &= ~only_last[sessions]
    masked[last] |= only_last
    none = np.bincount(sessions, weights=masked, minlength=len(lengths)) == 0
    masked[last] |= none
    truth = log.items[clicks].astype(np.int64)
    return _packed(np.where(masked, PAD, truth), lengths, truth, np.flatnonzero(masked), config, row)


def pack_prefixes_masked(log: Sessions, newest: Ints, lengths: Ints, *, config: EncoderConfig, row: int) -> PackedBatch:
    """Pack the `lengths` (S,) clicks that end at click `newest` (S,), each with a mask behind for the click to find."""
    clicks, sessions, _ = ranges(newest - lengths + 1, lengths)
    last = np.cumsum(lengths + 1) - 1
    ids = np.full(int((lengths + 1).sum()), PAD, np.int64)
    ids[np.arange(len(clicks)) + sessions] = log.items[clicks]
    truth = np.zeros_like(ids)
    truth[last] = log.items[newest + 1]
    return _packed(ids, lengths + 1, truth, last, config, row)


def _packed(ids: Ints, lengths: Ints, truth: Ints, masked: Ints, config: EncoderConfig, row: int) -> PackedBatch:
    """Pack ids, session after session; `masked` (T,) are the places whose item, `truth` there, is to be found."""
    rows, columns, count = place(lengths.tolist(), row)
    _, sessions, within = ranges(np.zeros_like(lengths), lengths)
    cells = rows[sessions] * row + columns[sessions] + within
    shift = position_shift(lengths, window=config.window + 1, from_end=config.positions == "end")
    flat = np.full((3, count * row), PAD, np.int64)
    flat[2] = -1
    flat[0, cells], flat[1, cells], flat[2, cells] = ids, within + shift[sessions], sessions
    packed_ids, positions, owner = flat.reshape(3, count, row)
    return PackedBatch(packed_ids, positions, owner, cells[masked], truth[masked].astype(np.int64), sessions[masked])
