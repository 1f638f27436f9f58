"""Warm start: a new model begins with what an earlier one learned, matched by the shop's item ids."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from export.bundle.vocabulary import Vocabulary
from model.errors import CheckpointError
from model.learn import checkpoint
from model.nets.encoder import Encoder

__all__ = ["start_from"]

ITEMS = "items.weight"


def start_from(encoder: Encoder, vocabulary: Vocabulary, directory: Path) -> int:
    """Copy layers, and the rows of items both know, from the best weights in `directory`; return how many items.

    Items the earlier model did not know keep their fresh rows. Raises CheckpointError if it is another encoder.
    """
    state = checkpoint.load(directory)
    try:
        weights, config = (state["best"] or state)["weights"], state["preset"]["encoder"]  # none validated: the newest
        earlier = Vocabulary.from_bytes(state["vocabulary"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory} holds no model to start from: {error}") from error
    theirs, ours = _shape(config), _shape(asdict(encoder.config))
    if theirs != ours:
        other = ", ".join(f"{name} {value} for {ours[name]}" for name, value in theirs.items() if value != ours[name])
        preset = state["preset"].get("name", "of the same encoder")
        raise CheckpointError(
            f"{directory} holds another encoder ({other}): it can start a training of the preset {preset} only"
        )
    pairs = [(row, earlier.index(item)) for row, item in enumerate(vocabulary.items, start=1) if item in earlier]
    merged = encoder.state_dict()[ITEMS].clone()
    if pairs:
        new, old = torch.tensor(pairs).T
        merged[new] = weights[ITEMS][old]
    encoder.load_state_dict({**weights, ITEMS: merged})
    return len(pairs)


def _shape(config: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in config.items() if name not in ("dropout", "input_dropout")}
