"""Which class an encoder's config stands for, and its first weights."""

from __future__ import annotations

import torch

from model.config import EncoderConfig, Preset
from model.data.known_items import ItemFeatures
from model.learn.seeds import POOL, WEIGHTS, seed_of
from model.nets.clicked import Clicked
from model.nets.encoder import Encoder, Transformer
from model.nets.gru import GRU
from model.nets.interests import Interests
from model.nets.tower import ItemTower

__all__ = ["build_encoder", "new_encoder"]


def build_encoder(config: EncoderConfig, catalogue: int) -> Encoder:
    """Return the encoder of `config` for ids 1..catalogue, with first weights from torch's random state."""
    kinds: dict[str, type[Encoder]] = {"transformer": Transformer, "gru": GRU, "clicked": Clicked}
    encoder = kinds[config.kind](config, catalogue)
    if config.interests:
        encoder.interests = Interests(config)
    return encoder


def new_encoder(preset: Preset, catalogue: int, items: ItemFeatures | None = None) -> Encoder:
    """Return an encoder with the weights its seed gives; the global random state is left as it was.

    items: what is known of the catalogue, for the preset's tower. All other weights are those of a training without.
    """
    seed = preset.train.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, WEIGHTS))
        encoder = build_encoder(preset.encoder, catalogue)
        if items is not None and preset.tower is not None:
            encoder.tower = ItemTower(preset.tower, preset.encoder.hidden, items.vocabulary, items.rows)
    encoder.dropout.seed(seed_of(seed, POOL))
    encoder.input_dropout.seed(seed_of(seed, POOL, 1))
    return encoder
