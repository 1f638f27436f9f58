"""Small logs to learn from: each item is mostly followed by one other, so that a model has something to find."""

from __future__ import annotations

import numpy as np
import torch

from export.vocabulary import Vocabulary
from model.config import EncoderConfig, NegativesConfig, Preset, TrainConfig
from model.encoder import Encoder
from model.log import SessionLog
from model.train import new_encoder

ITEMS = 40

torch.set_num_threads(1)  # tensors this small gain nothing from more, and lose much where cores are shared


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


def tiny_preset(**train: object) -> Preset:
    """Return a preset that trains in a moment; `train` overrides TrainConfig."""
    options: dict[str, object] = {"epochs": 2, "batch": 16, "lr": 5e-3, "row": 16, "threads": 1, **train}
    return Preset(
        name="tiny",
        encoder=EncoderConfig(hidden=16, layers=2, heads=1, feed_forward=16, dropout=0.1, window=10),
        negatives=NegativesConfig(uniform=30, in_batch=8, top=12),
        train=TrainConfig(**options),  # type: ignore[arg-type]
    )


def tiny_encoder(*, positions: str = "start", heads: int = 1, layers: int = 2, items: int = ITEMS) -> Encoder:
    """Return an encoder with random weights, in eval mode."""
    config = EncoderConfig(
        hidden=16,
        layers=layers,
        heads=heads,
        feed_forward=24,
        window=10,
        positions=positions,  # type: ignore[arg-type]
    )
    return new_encoder(Preset(name="tiny", encoder=config), items).eval()
