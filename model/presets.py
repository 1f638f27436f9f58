"""Named models: `preset(name)` gives the composition a published model stands for."""

from __future__ import annotations

from export.errors import ConfigError
from model.config import EncoderConfig, NegativesConfig, Preset, TrainConfig


def tron() -> Preset:
    """Return TRON XL with its Yoochoose settings.

    Source: Wilm et al., "Scaling Session-Based Transformer Recommendations using Optimized Negative Sampling and Loss
    Functions", RecSys 2023, and otto-de/TRON: 2 pre-norm layers, 1 head, H = feed-forward = 200, ReLU, window 50,
    dropout 0.05, tied items, 16,384 uniform + 127 in-batch negatives of which the top 100 enter a sampled softmax,
    Adam 5e-4 constant, 128 sessions a batch, 10 epochs. Departures: float32 instead of float16, one pool of 127
    in-batch draws for the batch instead of one a session (a session's own are masked), accidental hits masked, and
    positions counted from the session's start. Published ones are aligned to the window's right end, which tells a
    training position how many clicks are still to come; serving does not know that.
    Measured on Yoochoose's recent split, 1 epoch, seed 0, by prefix (Recall@20 / MRR@20): start .7291 / .3840 on
    validation and .7115 / .3661 on test, end .7297 / .3837 and .7107 / .3654. That is no difference beyond noise, and
    `start` lets validation encode each session once.
    """
    return Preset(
        name="tron",
        encoder=EncoderConfig(
            hidden=200, layers=2, heads=1, feed_forward=200, dropout=0.05, window=50, positions="start"
        ),
        negatives=NegativesConfig(uniform=16_384, in_batch=127, top=100),
        train=TrainConfig(epochs=10, batch=128, lr=5e-4),
    )


PRESETS = {"tron": tron}


def preset(name: str) -> Preset:
    """Return the preset called `name`; raises ConfigError, naming those there are."""
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}; there are: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]()
