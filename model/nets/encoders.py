"""Which class an encoder's config stands for, and its first weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from export.errors import ConfigError
from model.config import Preset
from model.data.known_items import ItemFeatures
from model.learn.seeds import POOL, WEIGHTS, seed_of
from model.nets.clicked import Clicked
from model.nets.coded import CodedItems
from model.nets.config import EncoderConfig
from model.nets.encoder import Encoder
from model.nets.gru import GRU
from model.nets.interests import Interests
from model.nets.tower import ItemTower
from model.nets.transformer import Transformer

__all__ = ["build_encoder", "new_encoder"]


def build_encoder(config: EncoderConfig, catalogue: int) -> Encoder:
    """Return the encoder of `config` for ids 1..catalogue, with first weights from torch's random state."""
    kinds: dict[str, type[Encoder]] = {"transformer": Transformer, "gru": GRU, "clicked": Clicked}
    encoder = kinds[config.kind](config, catalogue)
    if config.interests:
        encoder.interests = Interests(config)
    return encoder


def new_encoder(
    preset: Preset, catalogue: int, items: ItemFeatures | None = None, codes: NDArray[np.uint8] | None = None
) -> Encoder:
    """Return an encoder with the weights its seed gives; the global random state is left as it was.

    items: what is known of the catalogue, for the preset's tower. All other weights are those of a training without.
    codes (V + 1, m): of a preset with codes. ConfigError for both.
    """
    seed = preset.train.seed
    if preset.codes is not None and items is not None and preset.tower is not None:
        raise ConfigError(
            "an item table of codes has no room for what attributes add to a row: leave out the items, or the codes"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, WEIGHTS))
        encoder = build_encoder(preset.encoder, catalogue if preset.codes is None else 1)
        if preset.codes is not None:
            assert codes is not None, "a preset with codes is given them"
            encoder.items = CodedItems(torch.from_numpy(codes), preset.encoder.hidden, preset.codes.bits)
        elif items is not None and preset.tower is not None:
            encoder.tower = ItemTower(preset.tower, preset.encoder.hidden, items.vocabulary, items.rows)
    encoder.dropout.seed(seed_of(seed, POOL))
    encoder.input_dropout.seed(seed_of(seed, POOL, 1))
    return encoder
