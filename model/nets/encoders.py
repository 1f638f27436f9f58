"""Which class an encoder's config stands for."""

from __future__ import annotations

from model.config import EncoderConfig
from model.nets.encoder import Encoder, Transformer
from model.nets.gru import GRU

__all__ = ["build_encoder"]


def build_encoder(config: EncoderConfig, catalogue: int) -> Encoder:
    """Return the encoder of `config` for ids 1..catalogue, with first weights from torch's random state."""
    return GRU(config, catalogue) if config.kind == "gru" else Transformer(config, catalogue)
