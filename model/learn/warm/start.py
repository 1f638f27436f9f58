"""Warm start: a new model begins with what an earlier one learned, matched by the shop's item ids.

An item that the earlier model did not know begins where the items are that it was clicked with: at the mean, over its
clicks, of the known items' rows in the same session. From a random row it takes a training of full length to get into
lists at all; from there a few steps will do (`python -m bench.learning.freshness`, new items).

Legend: V catalogue ids 1..V, H hidden width, T clicks, S sessions.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.bundle.vocabulary import Vocabulary
from export.items.features import FeatureRows, FeatureVocabulary
from model.data.log import SessionLog
from model.errors import CheckpointError
from model.learn import checkpoint
from model.nets.coded import CodedItems
from model.nets.config import EncoderConfig, TowerConfig
from model.nets.encoder import Encoder
from model.nets.plain import TOWER
from model.nets.tower import ItemTower

__all__ = ["BOOKS", "CODES", "features_of", "place_beside", "start_from"]

ITEMS = "items.weight"
CODES, BOOKS = "items.codes", "items.books"
VALUES = "features.values.weight"
_SESSIONS = 10_000  # looked at at a time: the rows of their clicks are in memory


def start_from(encoder: Encoder, vocabulary: Vocabulary, directory: Path, log: SessionLog | None = None) -> int:
    """Copy layers, and the rows of items both know, from the best weights in `directory`; return how many items.

    Items the earlier model did not know begin beside those they are clicked with in `log`, which has the vocabulary;
    the others keep their fresh rows. Raises CheckpointError if it is another encoder.
    """
    state = checkpoint.load(directory)
    try:
        weights, config = (state["best"] or state)["weights"], state["preset"]["encoder"]  # none validated: the newest
        earlier = Vocabulary.from_bytes(state["vocabulary"])
        weights = _towered(encoder, weights, state.get("features"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory} holds no model to start from: {error}") from error
    theirs, ours = _shape({**asdict(EncoderConfig()), **config}), _shape(asdict(encoder.config))
    if theirs != ours:
        other = ", ".join(f"{name} {value} for {ours[name]}" for name, value in theirs.items() if value != ours[name])
        preset = state["preset"].get("name", "of the same encoder")
        raise CheckpointError(
            f"{directory} holds another encoder ({other}): it can start a training of the preset {preset} only"
        )
    new, old = _matched(earlier, vocabulary)
    if isinstance(encoder.items, CodedItems) or CODES in weights:
        _start_coded(encoder, weights, (new, old), directory)
        return len(new)
    merged = encoder.state_dict()[ITEMS].clone()
    merged[new] = weights[ITEMS][old]
    if log is not None and len(new):
        log = log.wanted()  # beside what nobody wanted is no place to begin
        known = np.zeros(len(vocabulary) + 1, bool)  # (V + 1,)
        known[new.numpy()] = True
        place_beside(merged, known, log)
    encoder.load_state_dict({**weights, ITEMS: merged})
    return len(new)


def _matched(earlier: Vocabulary, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return the catalogue ids, int64 (n,) both, of the items that two vocabularies share: in ours, in theirs."""
    of_row = earlier.look_up(vocabulary.items, len(vocabulary)).astype(np.int64)  # (V,) their id; 0: unknown
    return torch.from_numpy(np.flatnonzero(of_row) + 1), torch.from_numpy(of_row[of_row > 0])


def _start_coded(encoder: Encoder, weights: dict[str, Tensor], both: tuple[Tensor, Tensor], directory: Path) -> None:
    """Copy books and layers; the codes, which come from the same checkpoint (model/learn/warm/codes.py), are there."""
    own = encoder.state_dict()
    if CODES not in weights or CODES not in own or own[BOOKS].shape != weights[BOOKS].shape:
        forms = ["dense" if CODES not in one else f"codes {list(one[BOOKS].shape)}" for one in (weights, own)]
        raise CheckpointError(f"{directory} holds another item table ({forms[0]} for {forms[1]}): train from scratch")
    new, old = both  # ids of the items that are in both, ours and theirs
    if not torch.equal(own[CODES].cpu()[new], weights[CODES][old]):
        raise CheckpointError(f"{directory} holds other codes of the same items: train from scratch")
    encoder.load_state_dict({**weights, CODES: own[CODES]})


def features_of(encoder: Encoder) -> dict[str, Any] | None:
    """Return what a checkpoint needs for its tower to be understood by another training; None without a tower."""
    tower = encoder.tower
    if tower is None:
        return None
    rows = {name: getattr(tower, name).cpu() for name in ("offsets", "codes", "weights")}
    return {"vocabulary": tower.vocabulary.to_bytes(), **rows}


def _towered(encoder: Encoder, weights: dict[str, Tensor], features: dict[str, Any] | None) -> dict[str, Tensor]:
    """Return the earlier weights (name -> tensor) with a tower that fits the encoder's items, or none, as it has.

    Features are matched by what they stand for. A tower of another size, or one that the encoder does not have, goes
    into the item rows; one that the earlier model did not have begins afresh.
    """
    tower = encoder.tower
    own = {} if tower is None else {TOWER + name: weight for name, weight in tower.state_dict().items()}
    if features is None:
        return {**weights, **own}
    earlier = FeatureVocabulary.from_bytes(features["vocabulary"])
    inner = TOWER + "features.widen.weight"
    if tower is None or own[inner].shape != weights[inner].shape:
        rest = {name: weight for name, weight in weights.items() if not name.startswith(TOWER)}
        return {**rest, ITEMS: _settled(weights, earlier, features), **own}
    values = own[TOWER + VALUES].clone()
    pairs = earlier.alike(tower.vocabulary)  # (n, 2) their code, ours
    values[pairs[:, 1]] = weights[TOWER + VALUES][pairs[:, 0]].to(values.device)
    return {**weights, TOWER + VALUES: values}


def _settled(weights: dict[str, Tensor], vocabulary: FeatureVocabulary, features: dict[str, Any]) -> Tensor:
    """Return the item vectors (V + 1, H) of an earlier model with a tower."""
    rows = FeatureRows(**{name: features[name].numpy() for name in ("offsets", "codes", "weights")})
    inner, hidden = weights[TOWER + "features.widen.weight"].shape
    tower = ItemTower(TowerConfig(inner=inner), hidden, vocabulary, rows)
    tower.load_state_dict({name.removeprefix(TOWER): w for name, w in weights.items() if name.startswith(TOWER)})
    return tower.table(weights[ITEMS])


def place_beside(rows: Tensor, known: NDArray[np.bool_], log: SessionLog) -> Tensor:
    """Change the rows (V + 1, H) of items that are not known and were clicked with known ones; return which, bool."""
    is_known = known[log.items]  # (T,)
    counts = np.add.reduceat(is_known, log.offsets[:-1]) if log.sessions else log.lengths  # (S,) clicks on known items
    both = log.select((counts > 0) & (counts < log.lengths))
    sums, clicks = torch.zeros_like(rows), torch.zeros(len(rows))
    for first in range(0, both.sessions, _SESSIONS):
        part = both.select(np.arange(first, min(first + _SESSIONS, both.sessions)))
        items, of_known = torch.from_numpy(part.items).long(), torch.from_numpy(known[part.items])
        session = torch.from_numpy(np.repeat(np.arange(part.sessions), part.lengths))
        means = torch.zeros(part.sessions, rows.shape[1]).index_add_(0, session[of_known], rows[items[of_known]])
        means /= torch.bincount(session[of_known], minlength=part.sessions)[:, None]
        sums.index_add_(0, items[~of_known], means[session[~of_known]])
        clicks += torch.bincount(items[~of_known], minlength=len(rows))
    placed = clicks > 0
    rows[placed] = sums[placed] / clicks[placed, None]
    return placed


def _shape(config: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in config.items() if name not in ("dropout", "input_dropout")}
