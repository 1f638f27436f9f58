"""Small logs to learn from: each item is mostly followed by one other, so that a model has something to find."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.bundle.vocabulary import Vocabulary
from model.config import Preset
from model.data.log import SessionLog
from model.learn.batches.batch import Batch, to_tensors
from model.learn.batches.packing import pack
from model.learn.config import LossConfig, NegativesConfig, TrainConfig
from model.nets import dropout
from model.nets.config import EncoderConfig
from model.nets.encoder import Encoder
from model.nets.encoders import new_encoder

ITEMS = 40

torch.set_num_threads(1)  # tensors this small gain nothing from more, and lose much where cores are shared
dropout.POOL = 1 << 16  # numbers, enough for these batches; the real pool takes longer to make than a test to run


def tiny_log(sessions: int = 120, *, seed: int = 0, longest: int = 12, items: int = ITEMS) -> SessionLog:
    """Return sessions of 2..longest clicks in which item i is followed by (7 i) mod V + 1, three times out of four."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, longest + 1, sessions)
    clicks = []
    for length in lengths:
        item = int(random.integers(1, items + 1))
        for _ in range(length):
            clicks.append(item)
            item = item * 7 % items + 1 if random.random() < 0.75 else int(random.integers(1, items + 1))
    return SessionLog(
        items=np.array(clicks, np.int32),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        ts=np.arange(len(clicks), dtype=np.int64) * 1000,
        vocabulary=Vocabulary(f"item-{i}" for i in range(1, items + 1)),
    )


def tiny_preset(**options: Any) -> Preset:
    """Return a preset that trains in a moment; `options` are those of any component, by name."""
    preset = Preset(
        name="tiny",
        encoder=EncoderConfig(hidden=16, layers=2, heads=1, feed_forward=16, dropout=0.1, window=10),
        negatives=NegativesConfig(uniform=30, in_batch=8, top=12),
        train=TrainConfig(epochs=2, batch=16, lr=5e-3, row=16, threads=1),
    )
    return preset.override(**options)


def tiny_logq(**options: Any) -> Preset:
    """Return `tiny_preset` with distinct negatives by popularity and logQ correction, as our own presets have."""
    preset = tiny_preset(dropout=0.0)
    negatives, loss = NegativesConfig(popular=12, alpha=0.5), LossConfig(logq=True)
    return dataclasses.replace(preset, negatives=negatives, loss=loss).override(**options)


def tiny_committee(**options: Any) -> Preset:
    """Return a committee of a Transformer and a GRU."""
    preset = tiny_preset(**options)
    return dataclasses.replace(
        preset, committee=(dataclasses.replace(preset.encoder, kind="gru", residual=True, layers=1),)
    )


def tiny_encoder(*, items: int = ITEMS, seed: int = 0, **options: Any) -> Encoder:
    """Return an encoder with random weights and a window of 10, in eval mode; `options` are those of its config."""
    sizes: dict[str, Any] = {"hidden": 16, "layers": 2, "feed_forward": 24, "window": 10, **options}
    config, negatives = EncoderConfig(**sizes), NegativesConfig(uniform=1)
    preset = Preset(name="tiny", encoder=config, negatives=negatives, train=TrainConfig(seed=seed))
    encoder = new_encoder(preset, items).eval()
    with torch.no_grad():  # biases begin at 0, where no test could see that one is left out
        for name, parameter in encoder.named_parameters():
            if "bias" in name:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    return encoder


def packed(log: SessionLog, chosen: Sequence[int], config: EncoderConfig) -> Batch:
    """Return sessions of the log as an encoder of `config` is trained with them, unmasked."""
    from_end = config.positions == "end"
    return to_tensors(pack(log, np.array(chosen), window=config.window, row=16, from_end=from_end))


def padded(sessions: Sequence[NDArray[np.int32]]) -> Tensor:
    """Return the sessions as the graph gets them: (B, L) int32, 0 at the right."""
    rows = torch.zeros(len(sessions), max(map(len, sessions)), dtype=torch.int32)
    for row, session in zip(rows, sessions, strict=True):
        row[: len(session)] = torch.from_numpy(session.copy())
    return rows
