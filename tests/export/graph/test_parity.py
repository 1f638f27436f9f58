"""Tests of export/graph/parity.py: it must pass a faithful graph and catch an unfaithful one."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.rig.toy import ITEMS, WINDOW, ToyServing
from export.bundle.bundle import Bundle
from export.errors import ConfigError, ParityError
from export.graph import parity
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity, likeness

pytestmark = pytest.mark.slow

K = 10


class Changed(nn.Module):
    """A toy model whose lists are altered after the head."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.toy, self.change = ToyServing(), change
        self.inputs, self.outputs = self.toy.inputs, self.toy.outputs

    def forward(
        self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
    ) -> tuple[Tensor, ...]:
        top_ids, top_scores, also_scores = self.toy(ids, exclude, k, also, away, push)
        changed: tuple[Tensor, ...] = self.change(top_ids.clone(), top_scores.clone())
        return (*changed, also_scores) if len(changed) == 2 else changed


def swap(left: int, right: int) -> Any:
    order = list(range(K + 1))
    order[left], order[right] = order[right], order[left]
    return lambda ids, scores: (ids[:, order], scores)


def test_parity_of_a_faithful_graph_reports_what_was_compared(bundle: Bundle) -> None:
    report = check_parity(ToyServing(), bundle, window=WINDOW, items=ITEMS, k=K)
    assert report.shapes >= 12
    assert report.lists > report.shapes
    assert (report.k, report.tolerance, report.swapped) == (K, 1e-4, 0)
    assert report.max_score_difference < 1e-5
    assert msgspec.json.decode(msgspec.json.encode(report.to_dict())) == report.to_dict()


def test_parity_takes_the_path_of_a_graph_too(bundle: Bundle) -> None:
    assert check_parity(ToyServing(), bundle.onnx_path, window=WINDOW, items=ITEMS, k=3).swapped == 0


def test_parity_compares_batches_and_lengths_of_one_and_the_window() -> None:
    shapes = {(ids.shape, exclude.shape[1]) for ids, exclude in parity._inputs(np.random.default_rng(0), WINDOW, ITEMS)}
    assert {(1, 1), (1, WINDOW), (33, 1), (33, WINDOW)} <= {shape for shape, _ in shapes}
    assert len({exclusions for _, exclusions in shapes}) > 1


@pytest.mark.parametrize(
    "change",
    [
        swap(0, 1),
        swap(3, 7),
        lambda ids, scores: (ids, scores + 1e-3),
        lambda ids, scores: (ids, scores * float("nan")),
        lambda ids, scores: (ids.flip(0), scores),
        lambda ids, scores: (ids.roll(1, 1), scores.roll(1, 1)),
        lambda ids, scores: (ids[:, :5], scores[:, :5]),
    ],
    ids=["top_two", "middle", "scores", "nan", "rows", "rolled", "short"],
)
def test_parity_of_another_ranking_fails_with_figures(bundle: Bundle, change: Any) -> None:
    with pytest.raises(ParityError, match=r"\d"):
        check_parity(Changed(change), bundle, window=WINDOW, items=ITEMS, k=K)


def test_parity_that_fails_tells_the_two_scores_that_are_furthest_apart(bundle: Bundle) -> None:
    def changed(ids: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        scores = scores.clone()
        scores[0, 1] = 7.5
        return ids, scores

    with pytest.raises(
        ParityError, match=r"at shape \(1, \d+\): 7.5 of item \d+ in PyTorch, \S+ of item \d+ in the graph"
    ):
        check_parity(Changed(changed), bundle, window=WINDOW, items=ITEMS, k=K)


def test_parity_of_other_weights_fails(bundle: Bundle) -> None:
    with pytest.raises(ParityError, match="differ"):
        check_parity(ToyServing(seed=1), bundle, window=WINDOW, items=ITEMS, k=K)


@pytest.mark.parametrize("port", ["also", "away", "push"])
def test_parity_of_a_graph_that_ignores_a_port_it_has_fails(tmp_path: Path, port: str) -> None:
    hears = {name: int(name != port) for name in ToyServing.inputs}

    class Deaf(ToyServing):
        def forward(
            self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
        ) -> tuple[Tensor, Tensor, Tensor]:
            also, away, push = also * hears["also"], away * hears["away"], push * hears["push"]
            return super().forward(ids, exclude, k, also, away, push)

    export_onnx(Deaf(), tmp_path / "deaf.onnx", window=WINDOW)
    with pytest.raises(ParityError, match="differ"):
        check_parity(ToyServing(), tmp_path / "deaf.onnx", window=WINDOW, items=ITEMS, k=K)


def test_parity_of_tied_items_in_another_order_passes_and_counts_them(tmp_path: Path) -> None:
    serving = ToyServing()
    with torch.no_grad():
        serving.table[2] = serving.table[1]
    export_onnx(serving, tmp_path / "tied.onnx", window=WINDOW)
    other = ToyServing()
    with torch.no_grad():
        other.table[1] = other.table[2] = serving.table[1]
        other.table[2, 0] += 1e-6
    report = check_parity(other, tmp_path / "tied.onnx", window=WINDOW, items=ITEMS, k=K)
    assert report.swapped > 0


def test_parity_of_a_graph_that_ignores_exclusions_fails(tmp_path: Path) -> None:
    class Deaf(ToyServing):
        def forward(
            self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
        ) -> tuple[Tensor, Tensor, Tensor]:
            return super().forward(ids, exclude * 0, k, also, away, push)

    export_onnx(Deaf(), tmp_path / "deaf.onnx", window=WINDOW)
    with pytest.raises(ParityError, match="excluded"):
        check_parity(ToyServing(), tmp_path / "deaf.onnx", window=WINDOW, items=ITEMS, k=K)


def test_parity_of_a_catalogue_smaller_than_its_exclusions_passes(small_graph: Path) -> None:
    assert check_parity(ToyServing(items=3), small_graph, window=2, items=3, k=3).shapes > 0


@pytest.fixture
def small_graph(tmp_path: Path) -> Path:
    export_onnx(ToyServing(items=3), tmp_path / "small.onnx", window=2)
    return tmp_path / "small.onnx"


def test_parity_of_what_is_no_graph_fails(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(ParityError, match="load"):
        check_parity(ToyServing(), tmp_path / "x.onnx", window=WINDOW, items=ITEMS, k=K)


@pytest.mark.parametrize("sizes", [{"k": 0}, {"window": 0}, {"items": 0}])
def test_parity_of_impossible_sizes_is_refused(bundle: Bundle, sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        check_parity(ToyServing(), bundle, **{"window": WINDOW, "items": ITEMS, "k": K, **sizes})


def test_parity_leaves_the_module_in_its_mode(bundle: Bundle) -> None:
    serving = ToyServing().train()
    check_parity(serving, bundle, window=WINDOW, items=ITEMS, k=K)
    assert serving.training


@pytest.mark.parametrize(("off", "share"), [(0.015, 1.0), (0.025, 0.0)])
def test_lists_are_alike_whose_scores_are_near_however_large_they_are(off: float, share: float) -> None:
    """A committee's or a layer's scores are in the tens, and what a norm is off does not grow with them."""

    def large(ids: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return ids, torch.full_like(scores, 40.0)

    def others(ids: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return ids.flip(1), torch.full_like(scores, 40.0 + off)

    sessions = [np.array([1, 2], np.int32), np.array([3], np.int32)]
    alike = likeness(Changed(large), Changed(others), sessions, window=WINDOW, k=K, near=0.02)
    assert alike.share == share


def test_likeness_ends_as_soon_as_too_many_lists_differ() -> None:
    def others(ids: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return ids.flip(1), scores + 1.0

    sessions = [np.array([1, 2], np.int32)] * 1_000
    options = {"window": WINDOW, "k": K}
    same = Changed(lambda ids, scores: (ids, scores))
    assert likeness(same, Changed(others), sessions, **options, most=1) == (0, 128)
    assert likeness(same, Changed(others), sessions, **options) == (0, 1_000)
    assert likeness(same, same, sessions, **options, most=1) == (1_000, 1_000)
