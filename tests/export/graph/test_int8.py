"""Tests of export/graph/int8.py: the lists are those of exact scoring, and of nothing else in the batch."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.rig.toy import ToyServing
from export.bundle.interface import INPUTS, REQUIRED_OUTPUTS, feeds
from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.int8 import Int8TopK
from export.graph.onnx import export_onnx
from export.graph.topk import TopK

pytestmark = pytest.mark.slow

V, WINDOW, K = 600, 6, 10


def tables(items: int, *widths: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(items + 1, width, generator=generator)) for width in widths]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 30), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**31 - 1))
def test_int8_with_room_for_every_item_equals_exact(batch: int, items: int, exclusions: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    table = tables(items, 6, seed=seed)[0]
    hidden = torch.randn(batch, 6, generator=generator)
    exclude = torch.randint(0, items + 1, (batch, exclusions), generator=generator, dtype=torch.int32)
    length = torch.tensor(min(k, items))
    ids, scores = Int8TopK([table], items)(hidden, exclude, length)
    expected_ids, expected_scores = TopK(table)(hidden, exclude, length)
    assert (ids.dtype, scores.dtype) == (torch.int32, torch.float32)
    assert torch.equal(ids, expected_ids)
    torch.testing.assert_close(scores, expected_scores)


def test_int8_with_a_margin_gives_nearly_all_lists_and_exact_scores() -> None:
    table = tables(V, 32)[0]
    hidden, exclude = torch.randn(2_000, 32), torch.zeros(2_000, 1, dtype=torch.int32)
    expected = TopK(table)(hidden, exclude, torch.tensor(K))[0]
    shares = []
    for margin in (0, 12):
        ids, scores = Int8TopK([table], margin)(hidden, exclude, torch.tensor(K))
        torch.testing.assert_close(scores, torch.einsum("bh,bkh->bk", hidden, table[ids]))
        shares.append((ids == expected).all(dim=1).float().mean().item())
    assert shares[0] < 0.95  # else this test would show nothing
    assert shares[1] >= 0.999


def test_int8_of_several_tables_ranks_by_the_sum_of_their_scores() -> None:
    parts = tables(V, 8, 24, 16)
    hidden, exclude = torch.randn(50, 48), torch.randint(0, V, (50, 3), dtype=torch.int32)
    ids, scores = Int8TopK(parts, V)(hidden, exclude, torch.tensor(K))
    expected_ids, expected_scores = TopK(torch.cat(parts, dim=1).detach())(hidden, exclude, torch.tensor(K))
    assert torch.equal(ids, expected_ids)
    torch.testing.assert_close(scores, expected_scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 1e-20, 1e20])
def test_int8_of_vectors_of_any_size_gives_finite_scores(factor: float) -> None:
    hidden = factor * torch.randn(3, 32)
    ids, scores = Int8TopK(tables(V, 32), 12)(hidden, torch.zeros(3, 1, dtype=torch.int32), torch.tensor(K))
    assert torch.isfinite(scores).all()
    assert all(len(set(row)) == K and min(row) > PAD for row in ids.tolist())


def test_int8_shares_the_table_it_ranks_exactly_with() -> None:
    table = tables(V, 8)[0]
    assert next(Int8TopK([table], 1).parameters()) is table


@pytest.mark.parametrize(("items", "margin"), [(0, 12), (5, -1)])
def test_int8_of_what_can_not_be_is_refused(items: int, margin: int) -> None:
    with pytest.raises(ConfigError):
        Int8TopK(tables(items, 2), margin)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    """A graph whose margin is so narrow that one candidate more or less shows in its lists."""
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    export_onnx(ToyServing(items=V, hidden=32, margin=0), path, window=WINDOW)
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(
    graph: ort.InferenceSession, ids: NDArray[np.int32], exclude: NDArray[np.int32], k: int = K
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    given = feeds([INPUTS[name] for name in ToyServing.inputs], {"ids": ids, "exclude": exclude, "k": np.array(k)})
    top_ids, top_scores = graph.run(list(REQUIRED_OUTPUTS), given)
    return top_ids, top_scores


def some(random: np.random.Generator, rows: int, exclusions: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    ids = random.integers(1, V + 1, (rows, WINDOW), dtype=np.int32)
    ids[np.arange(WINDOW) >= random.integers(1, WINDOW + 1, rows)[:, None]] = PAD
    return ids, random.integers(1, V + 1, (rows, exclusions), dtype=np.int32)


def test_int8_graph_scores_in_integers(graph: ort.InferenceSession, tmp_path: Path) -> None:
    import onnx

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(graph._model_path, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 1
    assert "DequantizeLinear" not in kinds


def test_list_of_a_session_does_not_depend_on_who_shares_its_batch(graph: ort.InferenceSession) -> None:
    random = np.random.default_rng(0)
    ids, exclude = some(random, 200, 2)
    alone = [run(graph, ids[row : row + 1], exclude[row : row + 1])[0][0].tolist() for row in range(200)]
    for mates in (3, 50):
        others, more = some(random, mates, 9)  # as many exclusions as would add candidates
        own = np.pad(exclude, [(0, 0), (0, 7)])
        found = run(graph, np.concatenate([others, ids]), np.concatenate([more, own]))[0]
        assert found[mates:].tolist() == alone


def test_list_with_exclusions_is_full_and_the_next_best(graph: ort.InferenceSession) -> None:
    ids, _ = some(np.random.default_rng(1), 40, 1)
    best = run(graph, ids, np.zeros((40, 1), np.int32), 40)[0]
    for barred in (1, 5, 30):
        found = run(graph, ids, best[:, :barred])[0]
        assert (found > PAD).all()
        assert not (found[:, :, None] == best[:, None, :barred]).any()
        assert (found[:, :5] == best[:, barred : barred + 5]).all(axis=1).mean() > 0.9  # the rest may miss candidates


def test_everything_excluded_gives_padding(graph: ort.InferenceSession) -> None:
    ids, _ = some(np.random.default_rng(2), 1, 1)
    found, scores = run(graph, ids, np.arange(1, V + 1, dtype=np.int32)[None, :])
    assert (found == PAD).all()
    assert (scores == -np.inf).all()


def test_items_that_tie_are_all_listed(tmp_path: Path) -> None:
    toy = ToyServing(items=V, hidden=32, margin=12)
    with torch.no_grad():
        toy.table[1:9] = toy.table[1]
    toy.head = Int8TopK([toy.table], 12)
    export_onnx(toy, tmp_path / "tied.onnx", window=WINDOW)
    session = ort.InferenceSession(tmp_path / "tied.onnx", providers=["CPUExecutionProvider"])
    ids, scores = run(session, np.array([[1]], np.int32), np.zeros((1, 1), np.int32))
    assert set(ids[0].tolist()) > set(range(1, 9))
    assert len(set(scores[0, :8].tolist())) == 1
