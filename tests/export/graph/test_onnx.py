"""Tests of export/graph/onnx.py: the graph at sizes other than the traced ones."""

import gc
import weakref
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from bench.rig.toy import ITEMS, WINDOW, ToyServing
from export.bundle.bundle import Bundle
from export.errors import ConfigError, ParityError
from export.graph.onnx import export_onnx

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("batch", [1, 2, 3, 17])
@pytest.mark.parametrize("length", [1, 4, 5, WINDOW])
@pytest.mark.parametrize(("exclusions", "k"), [(1, 10), (2, 1), (2 * ITEMS, ITEMS)])
def test_graph_at_any_size_equals_pytorch(bundle: Bundle, batch: int, length: int, exclusions: int, k: int) -> None:
    generator = torch.Generator().manual_seed(batch * 100 + length)
    ids = torch.randint(1, ITEMS + 1, (batch, length), generator=generator, dtype=torch.int32)
    ids[1:, length // 2 + 1 :] = 0
    exclude = torch.randint(0, ITEMS + 1, (batch, exclusions), generator=generator, dtype=torch.int32)
    also = torch.randint(0, ITEMS + 1, (1 + exclusions % 7,), generator=generator, dtype=torch.int32)
    away = torch.randint(0, ITEMS + 1, (batch, 1 + batch % 3), generator=generator, dtype=torch.int32)
    others = also, away, torch.tensor(0.5)
    expected_ids, expected_scores, expected_also = ToyServing()(ids, exclude, torch.tensor(k), *others)
    session = ort.InferenceSession(bundle.onnx_path, providers=["CPUExecutionProvider"])
    given = (ids.numpy(), exclude.numpy(), np.array(k), *(one.numpy() for one in others))
    found = session.run(None, dict(zip(ToyServing.inputs, given, strict=True)))
    assert (found[0].dtype, found[1].dtype) == (np.int32, np.float32)
    np.testing.assert_allclose(found[1], expected_scores.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[2], expected_also.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert found[0].tolist() == expected_ids.tolist()


def test_export_of_the_same_weights_gives_the_same_bytes_and_leaves_the_module_in_its_mode(
    bundle: Bundle, tmp_path: Path
) -> None:
    serving = ToyServing().train()
    export_onnx(serving, tmp_path / "again.onnx", window=WINDOW)
    assert (tmp_path / "again.onnx").read_bytes() == bundle.onnx_path.read_bytes()
    assert serving.training


def test_graph_holds_its_weights_and_no_path_of_the_machine(bundle: Bundle) -> None:
    content = bundle.onnx_path.read_bytes()
    assert b"/tests/" not in content
    assert b".py" not in content
    graph = onnx.load_from_string(content)
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    onnx.checker.check_model(graph)


def test_no_weight_stays_alive_when_its_graph_is_written(tmp_path: Path) -> None:
    serving = ToyServing(items=2_000, hidden=16)
    weights = [weakref.ref(weight) for weight in serving.state_dict(keep_vars=True).values()]
    export_onnx(serving, tmp_path / "g.onnx", window=WINDOW)
    del serving
    gc.collect()
    assert len(weights) > 0
    assert all(weight() is None for weight in weights)


def test_tied_table_of_a_real_catalogue_is_stored_once(tmp_path: Path) -> None:
    export_onnx(ToyServing(items=20_000, hidden=16), tmp_path / "big.onnx", window=WINDOW)
    assert (tmp_path / "big.onnx").stat().st_size < 1.1 * 20_001 * 16 * 4


def test_export_with_a_window_of_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="window"):
        export_onnx(ToyServing(), tmp_path / "g.onnx", window=1)
    assert not (tmp_path / "g.onnx").exists()


def test_export_of_a_module_that_fixes_a_size_is_refused(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        """Its `len` becomes a constant of the graph."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = ToyServing()

            self.inputs, self.outputs = self.inner.inputs, self.inner.outputs

        def forward(
            self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
        ) -> tuple[Tensor, ...]:
            lists: tuple[Tensor, ...] = self.inner(ids.reshape(3, -1), exclude, k, also, away, push)
            return lists

    with pytest.raises(ParityError):
        export_onnx(Fixed(), tmp_path / "g.onnx", window=WINDOW)
    assert not (tmp_path / "g.onnx").exists()


@pytest.mark.parametrize("names", [("ids", "k"), ("ids", "k", "exclude"), ("ids", "exclude", "k", "more")])
def test_export_of_a_module_with_ports_there_are_not_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    serving = ToyServing()
    serving.inputs = names  # type: ignore[assignment]
    with pytest.raises(ParityError, match="ports of ToyServing"):
        export_onnx(serving, tmp_path / "g.onnx", window=WINDOW)
