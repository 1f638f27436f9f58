"""Trainings with items: what is learned of attributes reaches items that nobody clicked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from export.items.item import Item
from model.data.log import SessionLog
from model.learn.train import train
from model.learn.trained import Trained
from model.learn.warm.start import start_from
from model.nets.encoders import new_encoder
from model.nets.plain import plain
from tests.model.items import known, tiny_items
from tests.model.tiny import tiny_log, tiny_logq, tiny_preset

pytestmark = pytest.mark.slow


GROUPS, EACH, COLD = 6, 12, 2  # items of a group, so many of them never clicked


def grouped_log(sessions: int, seed: int) -> SessionLog:
    """Return sessions that stay in one group of items; the last COLD of each group are never clicked."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 8, sessions)
    group = np.repeat(random.integers(0, GROUPS, sessions), lengths)
    items = group * (EACH - COLD) + random.integers(0, EACH - COLD, len(group)) + 1
    return SessionLog(
        items=items.astype(np.int32),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        ts=np.arange(len(items), dtype=np.int64),
        vocabulary=Vocabulary(f"warm-{g}-{n}" for g in range(GROUPS) for n in range(EACH - COLD)),
    )


def grouped_items() -> list[Item]:
    warm = [(f"warm-{g}-{n}", g) for g in range(GROUPS) for n in range(EACH - COLD)]
    cold = [(f"cold-{g}-{n}", g) for g in range(GROUPS) for n in range(COLD)]
    return [Item(item_id=name, attributes={"group": (f"g{g}",)}) for name, g in warm + cold]


def grouped(**options: object) -> tuple[Trained, SessionLog]:
    log = grouped_log(300, seed=0)
    preset = tiny_preset(epochs=8, lr=0.01, layers=1, **options)
    items = known(grouped_items())
    return train(log, grouped_log(30, seed=1), preset, items=items.features(log.vocabulary)), log


@pytest.mark.parametrize("lazy", [True, False])
def test_cold_items_are_ranked_by_the_attributes_that_they_share(lazy: bool) -> None:
    trained, log = grouped(lazy=lazy)
    cold = known(grouped_items()).newcomers(log.vocabulary)
    served = plain(trained.encoders[0], cold.rows)
    table, first = served.table, len(log.vocabulary) + 1
    hits = 0
    for group in range(GROUPS):
        session = torch.tensor([[group * (EACH - COLD) + 1, group * (EACH - COLD) + 2]]).int()
        best = (served.last(session) @ table[first:].T)[0].argsort(descending=True)[:COLD]
        hits += sum(cold.item_ids[place].startswith(f"cold-{group}-") for place in best.tolist())
    assert hits >= 0.8 * GROUPS * COLD  # by chance: a sixth


def test_training_with_a_tower_moves_touched_rows_as_an_update_of_all_rows_would() -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    items = known(tiny_items(40)).features(log.vocabulary)
    dense, lazy = (train(log, valid, tiny_logq(lazy=lazy, epochs=1, popular=40), items=items) for lazy in (False, True))
    for name, weight in dense.encoders[0].state_dict().items():
        torch.testing.assert_close(lazy.encoders[0].state_dict()[name], weight, atol=1e-4, rtol=1e-3)


def test_training_with_items_and_no_tower_is_a_training_without_items() -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    preset = tiny_preset(epochs=1)
    items = known(tiny_items(40)).features(log.vocabulary)
    plain_one = train(log, valid, preset).encoders[0].state_dict()
    without = train(log, valid, replace(preset, tower=None), items=items).encoders[0].state_dict()
    assert plain_one.keys() == without.keys()
    assert all(torch.equal(plain_one[name], weight) for name, weight in without.items())


def test_training_with_a_tower_resumes_bit_for_bit(tmp_path: Path) -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    items = known(tiny_items(40)).features(log.vocabulary)
    whole = train(log, valid, tiny_preset(epochs=2), items=items, run="r").encoders[0].state_dict()
    train(log, valid, tiny_preset(epochs=2, max_seconds=1e-9), items=items, run="r", directory=tmp_path)
    again = train(log, valid, tiny_preset(epochs=2), items=items, run="r", directory=tmp_path).encoders[0].state_dict()
    assert all(torch.equal(whole[name], weight) for name, weight in again.items())


def test_start_from_a_tower_takes_features_by_what_they_stand_for(tmp_path: Path) -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    items = known(tiny_items(40))
    old = train(log, valid, tiny_preset(), items=items.features(log.vocabulary), directory=tmp_path).encoders[0]
    more = known([*tiny_items(40), *(Item(item_id=f"n{n}", attributes={"group": ("g0",)}) for n in range(30))])
    assert more.vocabulary.values != items.vocabulary.values
    fresh = new_encoder(tiny_preset(), len(log.vocabulary), more.features(log.vocabulary))
    start_from(fresh, log.vocabulary, tmp_path)
    assert old.tower is not None
    assert fresh.tower is not None
    for value in ("g0", "g1", "g2", "g3"):
        ours = fresh.tower.features.values.weight[more.vocabulary.code("group", value)]
        assert torch.equal(ours, old.tower.features.values.weight[items.vocabulary.code("group", value)])
    assert torch.equal(fresh.tower.features.widen.weight, old.tower.features.widen.weight)


def test_start_from_a_tower_without_items_begins_with_the_vectors_it_gave(tmp_path: Path) -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    items = known(tiny_items(40)).features(log.vocabulary)
    old = train(log, valid, tiny_preset(), items=items, directory=tmp_path).encoders[0]
    fresh = new_encoder(tiny_preset(), len(log.vocabulary))
    assert start_from(fresh, log.vocabulary, tmp_path) == len(log.vocabulary)
    torch.testing.assert_close(fresh.table[1:], plain(old).table[1:])


def test_start_with_a_tower_from_a_model_without_begins_as_that_model(tmp_path: Path) -> None:
    log, valid = tiny_log(64), tiny_log(10, seed=1)
    old = train(log, valid, tiny_preset(), directory=tmp_path).encoders[0]
    fresh = new_encoder(tiny_preset(), len(log.vocabulary), known(tiny_items(40)).features(log.vocabulary))
    start_from(fresh, log.vocabulary, tmp_path)
    torch.testing.assert_close(plain(fresh).table, old.table)
