"""The item tower: what attributes add to an id, and what they do alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from export.items.item import Item
from export.items.table import ItemTable
from export.ranking.changed_items import ChangedItems
from export.ranking.embedder import Embedder
from export.ranking.known_features import write_known
from model.bundling import export_towers
from model.config import Preset
from model.nets.config import TowerConfig
from model.nets.encoder import Encoder
from model.nets.encoders import new_encoder
from model.nets.plain import plain, plain_all
from model.nets.serving import ServingModel
from model.nets.tower import ItemTower
from tests.model.items import known, tiny_items
from tests.model.tiny import padded, tiny_preset

CATALOGUE = Vocabulary(f"item-{n}" for n in range(1, 11))


def towered(items: list[Item], *, trained: bool = True, preset: Preset | None = None) -> Encoder:
    """Return an encoder of ten items with a tower that has seen something, in eval mode."""
    encoder = new_encoder(preset or tiny_preset(), 10, known(items).features(CATALOGUE)).eval()
    assert encoder.tower is not None
    if trained:
        with torch.no_grad():
            for parameter in encoder.tower.parameters():
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
            encoder.tower.features.values.weight[0] = 0.0
    return encoder


def test_tower_begins_as_the_id_table_and_all_other_weights_as_without_items() -> None:
    encoder, bare = towered(tiny_items(10), trained=False), new_encoder(tiny_preset(), 10)
    assert torch.equal(plain(encoder).table, bare.table)
    for name, weight in bare.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], weight)


def test_tower_leaves_items_of_which_nothing_is_known_as_their_id_rows() -> None:
    encoder = towered(tiny_items(5))  # items 6 to 10 have no attributes
    table = plain(encoder).table
    assert torch.equal(table[6:], encoder.table[6:])
    assert torch.equal(table[0], torch.zeros(16))
    assert (table[1:6] != encoder.table[1:6]).any(dim=1).all()


def test_tower_of_some_items_is_that_of_all() -> None:
    encoder = towered(tiny_items(8))
    assert encoder.tower is not None
    rows, ids = encoder.table, torch.tensor([0, 3, 3, 9, 1])
    torch.testing.assert_close(encoder.tower(rows[ids], ids), encoder.tower(rows)[ids])
    torch.testing.assert_close(encoder.tower.table(rows), encoder.tower(rows))


def test_tower_without_an_id_row_is_what_attributes_alone_say() -> None:
    items = known(tiny_items(10))
    encoder = towered(tiny_items(10))
    assert encoder.tower is not None
    kept = torch.zeros(11, dtype=torch.bool)
    codes, weights = map(torch.from_numpy, items.features(CATALOGUE).rows.padded())
    alone = encoder.tower.features(codes, weights)
    torch.testing.assert_close(encoder.tower(encoder.table, None, kept)[1:], alone[1:])


def test_tower_drops_a_share_of_ids_by_the_seed_and_never_the_padding() -> None:
    encoder = towered(tiny_items(10))
    assert encoder.tower is not None
    kept = encoder.tower.keep(10_000, seed=3)
    assert kept is not None
    assert kept[0]
    assert 0.67 < kept.float().mean() < 0.73
    again, other = encoder.tower.keep(10_000, seed=3), encoder.tower.keep(10_000, seed=4)
    assert again is not None
    assert other is not None
    assert torch.equal(kept, again)
    assert not torch.equal(kept, other)
    encoder.tower.config = TowerConfig(id_dropout=0.0)
    assert encoder.tower.keep(10, seed=3) is None


@pytest.mark.parametrize("options", [{}, {"kind": "gru", "residual": True}, {"kind": "gru"}], ids=str)
def test_plain_encoder_answers_as_the_one_with_the_tower(options: dict[str, object]) -> None:
    encoder = towered(tiny_items(7), preset=tiny_preset(**options))
    ids = padded([torch.tensor([3, 9, 1]).int().numpy(), torch.tensor([2]).int().numpy()])
    served = plain(encoder)
    assert served.tower is None
    torch.testing.assert_close(served.last(ids), encoder.last(ids))
    assert plain(served) is served


def test_newcomers_stand_behind_the_catalogue_with_their_attributes_alone() -> None:
    items = known([*tiny_items(13), Item(item_id="blank"), Item(item_id="off", available=False, price=3.0)])
    encoder = towered(tiny_items(13))
    cold = items.newcomers(CATALOGUE)
    assert cold.item_ids == ("item-11", "item-12", "item-13")
    served = plain(encoder, cold.rows)
    assert encoder.tower is not None
    table = served.table
    assert table.shape == (14, 16)
    codes, weights = map(torch.from_numpy, cold.rows.padded())
    torch.testing.assert_close(table[11:], encoder.tower.features(codes, weights))
    ids, scores = ServingModel([served]).lists(torch.tensor([[12, 3]]).int(), torch.zeros(1, 1).int(), torch.tensor(13))
    assert sorted(ids[0].tolist()) == list(range(1, 14))
    assert scores.isfinite().all()


def test_plain_all_takes_every_encoder_of_a_committee() -> None:
    encoders = [towered(tiny_items(9)), towered(tiny_items(9), preset=tiny_preset(hidden=8))]
    tables = [encoder.table for encoder in plain_all(encoders, known(tiny_items(12)).newcomers(CATALOGUE).rows)]
    assert [tuple(table.shape) for table in tables] == [(13, 16), (13, 8)]


@pytest.mark.slow
def test_gradient_of_the_tower_is_autograds_in_double_precision() -> None:
    encoder = towered(tiny_items(10)).double()
    tower = encoder.tower
    assert tower is not None
    tower.weights = tower.weights.double()
    ids, kept = torch.tensor([0, 2, 7, 9]), torch.tensor([True, False, True, True])
    rows = encoder.table.detach()[ids].requires_grad_()
    values = tower.features.values.weight

    def vectors(rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(torch.func.functional_call(tower, {"features.values.weight": values}, (rows, ids, kept)))

    assert torch.autograd.gradcheck(vectors, (rows, values.detach().clone().requires_grad_()))


def test_tower_names_belong_to_the_checkpoint_and_features_do_not() -> None:
    names = set(towered(tiny_items(10)).state_dict())
    assert "tower.features.values.weight" in names
    assert "tower.features.newcomer" in names
    assert not names & {"tower.offsets", "tower.codes", "tower.weights"}


def test_changed_item_gets_from_the_graph_the_vector_that_its_tower_gives_it(tmp_path: Path) -> None:
    """One with other attributes and price, one of which nothing is said any more; of two encoders side by side."""
    file = known(tiny_items(10))
    encoders = [towered(tiny_items(10)), towered(tiny_items(10), preset=tiny_preset(hidden=8))]
    export_towers(encoders, tmp_path / "tower.onnx", seed=0)
    write_known(tmp_path / "known.npy", file.features(CATALOGUE).rows)
    bundle: Any = SimpleNamespace(
        version="7",
        vocabulary=CATALOGUE,
        features=file.vocabulary,
        tower_path=tmp_path / "tower.onnx",
        known_path=tmp_path / "known.npy",
    )
    table = ItemTable()
    for item in [*tiny_items(10), Item("item-3", attributes={"group": ("g0", "new")}, price=9.0), Item("item-7")]:
        table.put(item)
    served = plain_all(encoders)
    had = torch.cat([encoder.table for encoder in served], dim=1).detach()
    changed = ChangedItems(bundle, table, Embedder(bundle), lambda ids: had[list(ids)].numpy())
    assert changed.refresh(10, np.inf)
    assert changed.ids.tolist() == [3, 7]
    expected = []
    for encoder in encoders:
        assert encoder.tower is not None
        rows = file.vocabulary.encode([None, *map(table.get, CATALOGUE.items)])
        other = ItemTower(encoder.tower.config, encoder.table.shape[1], file.vocabulary, rows)
        other.load_state_dict(encoder.tower.state_dict())
        expected.append(other.table(encoder.table))
    now = had.clone()
    now[changed.ids.tolist()] = torch.from_numpy(changed.vectors)
    torch.testing.assert_close(now, torch.cat(expected, dim=1), atol=1e-5, rtol=1e-5)
    ids, ports = padded([np.array([12, 4], np.int32)]), torch.tensor([11, 5, 12]).int()  # 12 is item 7 as it is now
    nothing, k = torch.zeros(1, 1).int(), torch.tensor(5)
    fresh = torch.from_numpy(changed.vectors), torch.zeros(1).int()
    with torch.inference_mode():
        found = ServingModel(served, fresh=True)(ids, nothing, k, ports, nothing, torch.tensor(0.0), *fresh)[2]
        for encoder, vectors in zip(served, expected, strict=True):
            encoder.table.data = vectors
        ids, ports = padded([np.array([7, 4], np.int32)]), torch.tensor([3, 5, 7]).int()
        truth = ServingModel(served)(ids, nothing, k, ports, nothing, torch.tensor(0.0))[2]
    torch.testing.assert_close(found, truth, atol=1e-4, rtol=1e-4)
