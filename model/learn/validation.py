"""Validation of a model in training: the rank of each next click among the whole catalogue, by prefix.

Legend: S sessions, T predictions, H hidden width, V catalogue ids 1..V.
Every position after the first of a session is one prediction from all clicks before it, cut to the encoder's window;
nothing is excluded: the protocol of model/evaluate/protocol.py, so that the exported graph gives the same figures.
Where positions count from the start, a causal encoder gives the same vector for click t whether or not later clicks
follow, so one pass over a session that fits the window answers all its prefixes; otherwise each prefix is encoded by
itself. Several encoders rank together by the sum of their scores, as by their mean.
A log that says what each event is has predictions of wanted events alone: of the first events after the first of them;
an encoder that is told reads skips and dislikes in between, any other does not.
Ranks count equal scores against the model: rank = number of items not scored lower than the target, NaN ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from export.bundle.vocabulary import PAD
from model.data.gather import gather_ranges
from model.data.log import SessionLog
from model.evaluate.metrics import CUTOFF, gains
from model.learn.batches.batch import to_tensors
from model.learn.batches.feedback import with_kinds
from model.learn.batches.masking import pack_prefixes_masked
from model.learn.batches.packing import Ints, PackedBatch, pack, pack_spans, position_shift, ranges
from model.learn.losses.matmul import Products
from model.nets.coded import BLOCK, Coded, CodedItems
from model.nets.config import EncoderConfig
from model.nets.encoder import Encoder
from model.nets.plain import plain_all

__all__ = ["metrics", "next_click_ranks", "validate"]

SESSIONS = 256  # sessions encoded at once, where one pass answers all prefixes
PREFIXES = 128  # prefixes encoded at once, where each needs its own pass: up to a window of activations each
SCORES = 1 << 22  # scores held at once, 16 MiB


def validate(encoders: Sequence[Encoder], log: SessionLog, *, row: int = 64) -> dict[str, float]:
    """Return recall@20, mrr@20, ndcg@20 and the number of predictions; {} figures of 0 where there is none."""
    for encoder in encoders:
        encoder.eval()
    encoders = plain_all(encoders)
    return metrics(next_click_ranks(encoders, log, row=row), CUTOFF)


def metrics(ranks: Ints, cutoff: int) -> dict[str, float]:
    """Return means over ranks (T,), best 1: recall, mrr and ndcg at k as `model.evaluate.metrics` defines them."""
    hits = ranks[ranks <= cutoff]
    count = max(len(ranks), 1)
    means = {f"{name}@{cutoff}": float(gain[hits].sum() / count) for name, gain in gains(cutoff, cutoff).items()}
    return {**means, "predictions": float(len(ranks))}


@torch.inference_mode()
def next_click_ranks(encoders: Sequence[Encoder], log: SessionLog, *, row: int) -> Ints:
    """Return the rank (T,) of each prediction's target, in no set order; the encoders must be in eval mode."""
    typed = encoders[0].config.typed
    log = log if typed else log.wanted()
    device = encoders[0].weight.device
    # Nothing that outlives a batch is allocated in the loop: small blocks kept between large freed ones took 4 GiB.
    ranks, done = torch.empty(len(log.predicted), dtype=torch.int64), 0
    rank, rows = _ranking(encoders, device)
    batches = _typed_batches if typed else _batches
    for packed, predictions in batches(encoders[0].config, log, row):
        batch, chosen = to_tensors(packed, device), torch.from_numpy(predictions).to(device)
        hidden = torch.cat([encoder.vectors(batch)[chosen] for encoder in encoders], dim=-1)  # (T, [K,] H of all)
        targets = batch.targets[chosen]
        for part, target in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True):
            ranks[done : done + part.shape[0]] = rank(part, target)
            done += part.shape[0]
    return ranks.numpy()


def _ranking(encoders: Sequence[Encoder], device: torch.device) -> tuple[Callable[[Tensor, Tensor], Tensor], int]:
    """Return what ranks targets (T,) by hidden (T, [K,] H of all), and how many of them at once."""
    tables = [encoder.items.coded for encoder in encoders if isinstance(encoder.items, CodedItems)]
    if tables:
        return partial(_coded_ranks, tables), max(1, SCORES // min(BLOCK, tables[0].items))
    catalogue = torch.cat([encoder.table[PAD + 1 :] for encoder in encoders], dim=1)  # (V, H of all)
    products = Products("float32", device)  # bfloat16 makes ties, and ties count against the model
    rows = max(1, SCORES // (catalogue.shape[0] * max(1, encoders[0].config.interests)))
    return partial(_dense_ranks, products, catalogue), rows


def _dense_ranks(products: Products, catalogue: Tensor, hidden: Tensor, targets: Tensor) -> Tensor:
    scores = products.scores(hidden.flatten(0, -2), catalogue).view(len(hidden), -1, len(catalogue)).amax(dim=1)
    own = scores.gather(1, targets.unsqueeze(1) - (PAD + 1))  # (T, 1)
    return scores.shape[1] - (scores < own).sum(dim=1)


def _coded_ranks(tables: Sequence[Coded], hidden: Tensor, targets: Tensor) -> Tensor:
    """The same of encoders that share their codes: their partial scores add up, and nothing as long as V is made."""
    widths = [table.hidden for table in tables]
    parts = zip(tables, torch.split(hidden, widths, dim=1), strict=True)
    scored = torch.stack([table.partial(part) for table, part in parts]).sum(dim=0)  # (m * 2^b, T)
    first = tables[0]
    own = first.scores(scored, targets).diagonal()  # (T,) summed as those of the blocks are, to the last bit
    lower = torch.zeros_like(targets)
    for ids in first.blocks():
        lower += (first.scores(scored, ids) < own).sum(dim=0)
    return first.items - lower


def _batches(config: EncoderConfig, log: SessionLog, row: int) -> Iterator[tuple[PackedBatch, Ints]]:
    """Yield packed batches and which of their T entries are predictions."""
    one_by_one = config.masked or config.positions == "end"
    longest = np.diff(log.offsets) - 1  # (S,) clicks of the longest prefix
    whole = np.flatnonzero((longest <= config.window) & (longest > 0) & (not one_by_one))
    for start in range(0, len(whole), SESSIONS):
        batch = pack(log, whole[start : start + SESSIONS], window=config.window, row=row, from_end=False)
        yield batch, np.arange(len(batch.cells))
    single = np.flatnonzero(((longest > config.window) | one_by_one) & (longest > 0))
    newest, _, within = ranges(log.offsets[single], longest[single])  # the newest click of every prefix
    lengths = np.minimum(within + 1, config.window)
    for start in range(0, len(newest), PREFIXES):
        part = slice(start, start + PREFIXES)
        yield _prefixes(config, log, newest[part], lengths[part], row)


def _typed_batches(config: EncoderConfig, log: SessionLog, row: int) -> Iterator[tuple[PackedBatch, Ints]]:
    """Yield packed batches of typed events, one prefix a prediction, shortest first."""
    targets = log.predicted
    lengths = np.minimum(targets - np.repeat(log.offsets[:-1], log.lengths)[targets], config.window)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), PREFIXES):
        part = order[start : start + PREFIXES]
        yield _prefixes(config, log, targets[part] - 1, lengths[part], row)


def _prefixes(
    config: EncoderConfig, log: SessionLog, newest: Ints, lengths: Ints, row: int
) -> tuple[PackedBatch, Ints]:
    if config.masked:
        return pack_prefixes_masked(log, newest, lengths, config=config, row=row), np.arange(len(lengths))
    shift = position_shift(lengths, window=config.window, from_end=config.positions == "end")
    first, last = newest - lengths + 1, np.cumsum(lengths) - 1
    batch = pack_spans(log.items, first, lengths, row=row, shift=shift)
    return with_kinds(
        batch, log, gather_ranges(first, lengths)
    ) if config.typed and log.kinds is not None else batch, last
