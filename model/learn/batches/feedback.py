"""What a session's own no is worth: typed events as inputs, explicit negatives as targets, weights of targets.

Legend: T events of the log, S sessions of a batch, Q predictions of a batch, n own negatives, V catalogue ids.

Inputs. A typed encoder reads all events of a session, and is asked for the next wanted one where the answer could be
used: at every wanted event, and at the event right before the next wanted one, where that is a skip or a dislike. Never
before the first wanted event, so that models with and without feedback are asked for the same clicks.

Targets. A session's explicit negatives join the drawn ones after the best of those are chosen, so that they are always
in the loss. An item that the session wanted too, before or after, is none: a skip that was an accident.
Source: Mei, Bembom & Ehmann, "Negative Feedback for Music Personalization", 2024 (arXiv 2406.04488).

Weights. What finding an event counts, by its kind; with a preference the clicks and likes of a session count 1 - p and
its carts and orders p, each divided by its share of the log's targets, so that either side is a mean over its own.
Source: Wilm et al., "Pareto Front Approximation for Multi-Objective Session-Based Recommender Systems", RecSys 2024.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.events import CLICK, TYPES, code_of
from model.config import Preset
from model.data.gather import gather_ranges
from model.data.log import SessionLog
from model.errors import TrainingError
from model.learn.batches.batch import Batch, to_tensors
from model.learn.batches.packing import Ints, PackedBatch, pack_spans, position_shift
from model.learn.losses.extra import Extra
from model.learn.seeds import OWN, PREFERENCE

__all__ = ["Asked", "Feedback", "OwnNegatives", "asked", "extra_of", "pack_typed", "with_kinds"]

Floats = NDArray[np.float32]

ORDER_SIDE = tuple(code_of(kind) for kind in ("cart", "order"))  # what a preference of 1 asks for
MOST = 20.0  # times that a rare side may count: an order in a thousand clicks would drown the rest of its batch


class Asked(NamedTuple):
    """Where a log's sessions are asked for what comes next."""

    target: Ints  # (T,) row of the next wanted event, where an event is asked for it; else -1
    ends: Ints  # (sessions,) row behind the last wanted event of each


def asked(log: SessionLog) -> Asked:
    """Return where a typed encoder is asked; in a log without skips and dislikes at every event but the last."""
    wanted, rows = log.is_wanted, np.arange(log.clicks, dtype=np.int64)
    session = np.repeat(np.arange(log.sessions), log.lengths)  # (T,)
    # Row of the first wanted event at or after each row, in the whole log, then in the session
    following = np.full(log.clicks + 1, log.clicks, np.int64)
    following[:-1] = np.where(wanted, rows, log.clicks)
    following = np.minimum.accumulate(following[::-1])[::-1]  # (T + 1,)
    target = following[1:]
    inside = target < log.offsets[session + 1]
    before = np.concatenate(([0], np.cumsum(wanted)))  # (T + 1,) wanted events before each row
    begun = before[1:] > before[log.offsets[session]]  # one of the session at or before the row
    used = inside & begun & (wanted | (target == rows + 1))
    last = np.maximum.accumulate(np.where(wanted, rows, -1)) if log.clicks else rows
    ends = np.maximum(last[np.maximum(log.offsets[1:] - 1, 0)] + 1, log.offsets[:-1]) if log.clicks else log.offsets[:0]
    return Asked(np.where(used, target, -1), ends)


def pack_typed(log: SessionLog, at: Asked, chosen: Ints, *, window: int, row: int, from_end: bool) -> PackedBatch:
    """Pack the newest window + 1 events, up to the last wanted one, of the sessions `chosen` (S,), kinds beside them.

    Each must have two wanted events. All events have a place among the T of the batch; `read` are those asked.
    """
    end = at.ends[chosen]
    first = np.maximum(log.offsets[chosen], end - window - 1)
    lengths = end - first - 1
    shift = position_shift(lengths, window=window, from_end=from_end)
    packed = pack_spans(log.items, first, lengths, row=row, shift=shift)
    events = gather_ranges(first, lengths)
    read = np.flatnonzero(at.target[events] >= 0)
    targets = packed.targets.copy()
    targets[read] = log.items[at.target[events[read]]]
    return with_kinds(packed._replace(targets=targets, read=read), log, events)


def with_kinds(packed: PackedBatch, log: SessionLog, events: Ints) -> PackedBatch:
    """Return a batch with the kind of each of its events (T,), rows of the log."""
    assert log.kinds is not None, "what is read with feedback says what each event is"
    kinds = np.zeros(packed.ids.size, np.int64)
    kinds[packed.cells] = log.kinds[events]
    return packed._replace(kinds=kinds.reshape(packed.ids.shape))


class OwnNegatives(NamedTuple):
    """The distinct items that each session of a log skipped or disliked, and never wanted."""

    items: NDArray[np.int32]  # session after session
    events: Ints  # row of the first skip or dislike of each
    offsets: Ints  # (sessions + 1,)

    @classmethod
    def of(cls, log: SessionLog) -> OwnNegatives:
        """Find them."""
        session = np.repeat(np.arange(log.sessions), log.lengths)
        key = session * (len(log.vocabulary) + 1) + log.items  # (T,) one number for a session and an item
        no = np.flatnonzero(~log.is_wanted)
        no = no[~np.isin(key[no], key[log.is_wanted])]
        _, first = np.unique(key[no], return_index=True)
        rows = no[first]  # by session
        offsets = np.searchsorted(session[rows], np.arange(log.sessions + 1))
        return cls(log.items[rows], rows, offsets.astype(np.int64))

    def draw(self, chosen: Ints, most: int, random: np.random.Generator) -> tuple[Ints, Ints]:
        """Return items and rows (S, most) of the sessions `chosen` (S,), 0 and a row behind all where there is none.

        A session with more has `most` of them, drawn anew.
        """
        items = np.full((len(chosen), most), PAD, np.int64)
        rows = np.full((len(chosen), most), np.iinfo(np.int64).max, np.int64)
        for place, session in enumerate(chosen.tolist()):
            first, last = int(self.offsets[session]), int(self.offsets[session + 1])
            found = np.arange(first, last)
            if len(found) > most:
                found = np.sort(random.choice(found, most, replace=False))
            items[place, : len(found)], rows[place, : len(found)] = self.items[found], self.events[found]
        return items, rows


class Feedback:
    """What the kinds of a log add to the batches of a training by `preset`."""

    def __init__(self, log: SessionLog, preset: Preset) -> None:
        """TrainingError where the log lacks what a preference chooses between; without kinds all events are clicks."""
        if log.kinds is None:
            log = replace(log, kinds=np.full(log.clicks, CLICK, np.int8))
        self.preset, self.typed = preset, preset.encoder.typed
        self.packed = log if self.typed else log.wanted()  # what an encoder reads
        self._rows = np.arange(log.clicks) if self.typed else np.flatnonzero(log.is_wanted)  # of `log`, of its events
        self._asked = asked(self.packed)
        self._own = OwnNegatives.of(log) if preset.negatives.own else None
        self._by_kind, self._sides = _weights(self.packed, preset)

    def pack(self, chosen: Ints, row: int) -> PackedBatch:
        """Return the sessions `chosen` (S,), packed as the encoder reads them."""
        encoder = self.preset.encoder
        options = {"window": encoder.window, "row": row, "from_end": encoder.positions == "end"}
        packed = pack_typed(self.packed, self._asked, chosen, **options)  # type: ignore[arg-type]
        return packed if self.typed else packed._replace(kinds=None)

    def batch(self, chosen: Ints, *, step: int, rank: int, row: int, device: torch.device) -> Batch:
        """Return the batch of the sessions `chosen` (S,) at a step, with all that feedback adds."""
        packed = self.pack(chosen, row)
        events = self._events(chosen, packed)  # (Q,) rows of what is packed
        batch, session = to_tensors(packed, device), packed.sessions[packed.read]
        seed, negatives = self.preset.train.seed, self.preset.negatives
        if self._own is not None:
            items, rows = self._own.draw(chosen, negatives.own, np.random.default_rng([seed, OWN, step, rank]))
            own = items[session]  # (Q, n)
            if negatives.own_of == "before":
                own = np.where(rows[session] <= self._rows[events][:, None], own, PAD)
            batch = batch._replace(own=torch.from_numpy(own).to(device))
        preference = None
        if self.preset.encoder.preference:
            preference = np.random.default_rng([seed, PREFERENCE, step, rank]).random(len(chosen), np.float32)
            batch = batch._replace(preference=torch.from_numpy(preference).to(device))
        weights = self._weigh(events, None if preference is None else preference[session])
        return batch if weights is None else batch._replace(weights=torch.from_numpy(weights).to(device))

    def _events(self, chosen: Ints, packed: PackedBatch) -> Ints:
        """Return the row of each event that is asked, (Q,)."""
        lengths = np.bincount(packed.sessions, minlength=len(chosen))
        first = self._asked.ends[chosen] - 1 - lengths
        read: Ints = gather_ranges(first, lengths)[packed.read]
        return read

    def _weigh(self, events: Ints, preference: Floats | None) -> Floats | None:
        """Return what each prediction counts, (Q,), 1 on average; None where all count 1."""
        if preference is None and not self.preset.loss.target_weights:
            return None
        assert self.packed.kinds is not None
        kinds = self.packed.kinds[self._asked.target[events]]
        weights = self._by_kind[kinds]
        if preference is not None:
            late = np.isin(kinds, ORDER_SIDE)
            weights = weights * np.where(late, preference * self._sides[1], (1.0 - preference) * self._sides[0])
        return weights.astype(np.float32)


def extra_of(batch: Batch, preset: Preset) -> tuple[Extra, float | None]:
    """Return what joins the drawn negatives of a batch, and the share of own ones that stand beside them instead.

    The latter is for binary cross-entropy against drawn negatives of each position, which is a mean over them.
    """
    softmax, weight = preset.loss.objective == "softmax", preset.negatives.own_weight
    return Extra(batch.own, math.log(weight) if softmax else 0.0, batch.weights), None if softmax else weight


def _weights(log: SessionLog, preset: Preset) -> tuple[Floats, tuple[float, float]]:
    """Return what a target counts by its code (TYPES,), 1 on average, and what either side of a preference does."""
    by_kind = np.ones(TYPES, np.float64)
    for kind, weight in preset.loss.target_weights:
        by_kind[code_of(kind)] = weight
    at = asked(log).target
    assert log.kinds is not None
    counts = np.bincount(log.kinds[at[at >= 0]], minlength=TYPES).astype(np.float64)
    total = float((counts * by_kind).sum())
    if total <= 0:
        raise TrainingError(f"no event of the log counts by these weights of targets: {preset.loss.target_weights}")
    by_kind *= counts.sum() / total
    if not preset.encoder.preference:
        return by_kind.astype(np.float32), (1.0, 1.0)
    late = float((counts * by_kind)[list(ORDER_SIDE)].sum())
    early = float((counts * by_kind).sum()) - late
    if min(early, late) <= 0:
        raise TrainingError("a preference is between clicks and orders: the log needs targets of both sides")
    whole = early + late
    return by_kind.astype(np.float32), (min(whole / early, MOST), min(whole / late, MOST))
