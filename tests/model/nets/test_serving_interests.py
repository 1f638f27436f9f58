"""Graphs of several interests, and graphs that take items newer than the model: they rank as the encoders do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from bench.rig.toy import toy_manifest
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.config import ListsConfig, Pin, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker
from model.nets.serving import ServingModel
from tests.model.tiny import ITEMS, padded, tiny_encoder

IDS = padded([np.array([3, 4, 5], np.int32), np.array([6], np.int32)])
NONE = torch.zeros(2, 1).int()
SEVERAL: dict[str, dict[str, Any]] = {
    "transformer": {"layers": 1, "interests": 3, "interest_inner": 8},
    "gru": {"kind": "gru", "layers": 1, "interests": 2, "interest_inner": 8},
    "comirec": {"kind": "clicked", "interests": 4},
}


def run(
    serving: ServingModel, *, also: Tensor, away: Tensor = NONE, push: float = 0.0, **others: Tensor
) -> list[Tensor]:
    with torch.inference_mode():
        exclude, k = torch.tensor([[7], [0]]).int(), torch.tensor(9)
        return list(serving(IDS, exclude, k, also, away, torch.tensor(push), *others.values()))


@pytest.mark.parametrize("margin", [None, 12], ids=["exact", "int8"])
@pytest.mark.parametrize("name", SEVERAL)
def test_interests_list_is_the_best_of_every_interests_scores_and_says_whose(name: str, margin: int | None) -> None:
    encoder = tiny_encoder(**SEVERAL[name])
    scores = encoder.newest(IDS) @ encoder.table.T  # (B, I, V + 1)
    ids, found, also_scores, which = run(ServingModel([encoder], margin=margin), also=torch.tensor([5, 0, 2]).int())
    best = scores.amax(dim=1)
    best[:, 0], best[0, 7] = -torch.inf, -torch.inf
    assert ids.tolist() == best.argsort(descending=True)[:, :9].tolist()
    torch.testing.assert_close(found, best.gather(1, ids.long()), atol=1e-5, rtol=1e-5)
    places = ids.long().unsqueeze(1).expand(-1, scores.shape[1], -1)
    assert which.tolist() == scores.gather(2, places).argmax(dim=1).tolist()
    torch.testing.assert_close(also_scores[:, [0, 2]], scores.amax(dim=1)[:, [5, 2]], atol=1e-5, rtol=1e-5)
    assert (also_scores[:, 1] == -torch.inf).all()


def test_interests_all_move_away_from_what_is_disliked() -> None:
    encoder = tiny_encoder(**SEVERAL["transformer"])
    serving, disliked = ServingModel([encoder]), 12
    also, away = torch.tensor([disliked]).int(), torch.tensor([[disliked], [0]]).int()
    before, after = (run(serving, also=also, away=away, push=push)[2] for push in (0.0, 1.0))
    assert after[0, 0] <= max(0.0, float(before[0, 0])) + 1e-5
    assert after[1, 0] == before[1, 0]


FRESH: dict[str, list[dict[str, Any]]] = {
    "transformer": [{"layers": 1}],
    "committee": [{"layers": 1, "positions": "rotary"}, {"kind": "gru", "residual": True, "hidden": 12, "layers": 1}],
    "interests": [SEVERAL["transformer"]],
    "comirec": [SEVERAL["comirec"]],
}


@pytest.mark.parametrize("name", FRESH)
def test_fresh_item_counts_as_if_the_table_had_it(name: str) -> None:
    encoders = [tiny_encoder(seed=seed, **options) for seed, options in enumerate(FRESH[name])]
    serving = ServingModel(encoders, fresh=True)
    fresh = torch.randn(3, serving.hidden, generator=torch.Generator().manual_seed(0))
    longer = [tiny_encoder(items=ITEMS + 3, seed=seed, **options) for seed, options in enumerate(FRESH[name])]
    parts = torch.split(fresh, serving.widths, dim=1)
    with torch.no_grad():
        for encoder, other, part in zip(encoders, longer, parts, strict=True):
            other.load_state_dict({**encoder.state_dict(), "items.weight": torch.cat([encoder.table, part])})
    ids = padded([np.array([3, ITEMS + 2, 5], np.int32), np.array([ITEMS + 1], np.int32)])
    also, away = torch.tensor([ITEMS + 3, 4, ITEMS + 1]).int(), torch.tensor([[ITEMS + 2], [5]]).int()
    given = ids, torch.zeros(2, 1).int(), torch.tensor(ITEMS), also, away, torch.tensor(0.5)
    with torch.inference_mode():
        found = serving(*given, fresh, torch.tensor([6, 0]).int())
        every = ServingModel(longer)(*given[:2], torch.tensor(ITEMS + 3), *given[3:])
    torch.testing.assert_close(found[2], every[2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[-2][:, [2, 0]], every[2][:, [0, 2]], atol=1e-5, rtol=1e-5)  # of all fresh items
    assert torch.equal(found[-1][0], torch.cat([encoder.table for encoder in encoders], dim=1)[6])
    known = [[item for item in row if item <= ITEMS] for row in every[0].tolist()]
    assert found[0].tolist() == known  # a fresh item is in no list by itself


@pytest.mark.slow
@pytest.mark.parametrize("name", ["committee", "gru interests", "int8 interests"])  # the others: test_presets
def test_graph_with_interests_or_fresh_items_ranks_as_pytorch(name: str, tmp_path: Path) -> None:
    options = [SEVERAL["gru"]] if name == "gru interests" else FRESH[name.removeprefix("int8 ")]
    encoders = [tiny_encoder(seed=seed, **one) for seed, one in enumerate(options)]
    serving, graph = (
        ServingModel(encoders, margin=12 if "int8" in name else None, fresh="gru" not in name),
        tmp_path / "model.onnx",
    )
    export_onnx(serving, graph, window=10)
    assert check_parity(serving, graph, window=10, items=ITEMS, k=7).max_score_difference < 1e-4
    outputs = [value.name for value in ort.InferenceSession(str(graph)).get_outputs()]
    assert ("top_interests" in outputs) == (name != "committee")


@pytest.mark.slow
def test_lists_say_which_interest_each_item_came_from_with_and_without_a_policy(tmp_path: Path) -> None:
    encoder = tiny_encoder(**SEVERAL["transformer"])
    export_onnx(ServingModel([encoder]), tmp_path / "graph.onnx", window=encoder.config.window)
    names = Vocabulary(f"item-{number}" for number in range(1, ITEMS + 1))
    manifest = toy_manifest(ITEMS, k_max=10, window=encoder.config.window)
    counts = np.arange(1, ITEMS + 1, dtype=np.int64)
    bundle = write_bundle(
        tmp_path / "b", onnx_file=tmp_path / "graph.onnx", vocabulary=names, popularity=counts, manifest=manifest
    )
    ranker, table = Ranker(bundle), ItemTable()
    expected = run(ServingModel([encoder]), also=torch.tensor([0]).int())[3]
    plain = ranker.rank_items([["item-3", "item-4", "item-5"]], 9, [["item-7"]])[0]
    assert list(plain.interests) == expected[0].tolist()
    said = dict(zip((item for item, _ in plain.items), plain.interests, strict=True))
    hidden = plain.items[2][0]
    for item in (hidden, "item-7"):
        table.put(Item(item, available=False))
    config = ListsConfig.single(8, Policy(pins=(Pin("item-9", 3),)))
    by_policy = ListMaker(ranker, config, table).make([Shopper.of_clicks(["item-3", "item-4", "item-5"])])[0][0]
    assert len(by_policy.interests) == len(by_policy.items) == 8
    assert by_policy.items[2][0] == "item-9"
    assert by_policy.interests[2] == -1
    others = [
        (item, of) for (item, _), of in zip(by_policy.items, by_policy.interests, strict=True) if item != "item-9"
    ]
    assert all(said.get(item, of) == of for item, of in others)
    assert hidden not in dict(by_policy.items)
