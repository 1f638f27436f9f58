"""The graph of a coded model gives the vectors that its codes are scored with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.bundle.manifest import Coded
from export.errors import ParityError
from export.graph.choice import describe, export_vectors
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from export.ranking.ranker import Ranker, RankerConfig
from model.bundling import export_bundle, with_manifest
from model.codes.config import CodesConfig
from model.learn.committee import train_preset
from model.nets.encoder import Encoder
from model.nets.vectors import VectorModel, stored
from tests.model.learn.test_coded_training import with_codes
from tests.model.tiny import padded, tiny_encoder, tiny_log, tiny_preset

KINDS: dict[str, list[dict[str, Any]]] = {
    "typed": [{"typed": True, "preference": True}],
    "committee": [{"positions": "rotary"}, {"kind": "gru", "hidden": 8, "positions": "rotary"}],
}


def encoders_of(name: str) -> list[Encoder]:
    return with_codes([tiny_encoder(seed=seed, **options) for seed, options in enumerate(KINDS[name])])


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_graph_gives_the_vectors_of_pytorch_and_of_other_weights_is_refused(name: str, tmp_path: Path) -> None:
    model, path = VectorModel(encoders_of(name)), tmp_path / "model.onnx"
    report = export_vectors(model, path, window=10, items=40)
    assert report["lists"] > 100
    assert "by codes" in describe(report)
    assert [value.name for value in onnx.load(str(path)).graph.output] == ["vectors"]
    with torch.no_grad():
        model.encoders[0].weight.mul_(1.5)
    with pytest.raises(ParityError, match="vectors differ by up to"):
        check_parity(model, path, window=10, items=40, k=1)


@pytest.mark.parametrize("members", [1, 2])
def test_stored_codes_score_as_the_encoders_do_together(members: int) -> None:
    encoders = encoders_of("committee")[:members]
    model, table = VectorModel(encoders), stored(encoders)
    ids = padded([tiny_log(1, seed=seed).session(0)[:10] for seed in range(5)])
    away, push = torch.zeros(5, 1, dtype=torch.int32), torch.tensor(0.0)
    every = torch.arange(1, 41)
    with torch.inference_mode():
        vectors = model(ids, away, push).numpy()
        expected = sum(encoder.last(ids) @ encoder.items(every).T for encoder in encoders) / members
    assert vectors.shape == (5, table.hidden) == (5, model.hidden)
    np.testing.assert_allclose(vectors @ table.vectors(every.numpy()).T, expected, rtol=1e-4, atol=1e-5)


def test_a_session_moves_away_from_what_it_dislikes() -> None:
    encoders = encoders_of("committee")
    model, table = VectorModel(encoders), stored(encoders)
    ids, away = padded([tiny_log(1).session(0)[:10]]), torch.tensor([[7, 0]], dtype=torch.int32)
    with torch.inference_mode():
        before, after = (model(ids, away, torch.tensor(push)).numpy() for push in (0.0, 1.0))
    disliked = table.vectors(np.array([7]))[0]
    assert after[0] @ disliked == pytest.approx(min(0.0, before[0] @ disliked), abs=1e-5)


def test_module_that_ends_at_vectors_and_names_lists_too_is_refused(tmp_path: Path) -> None:
    model: nn.Module = VectorModel(encoders_of("typed"))
    model.outputs = ("top_ids", "vectors")  # type: ignore[assignment]
    with pytest.raises(ParityError, match="the ports of VectorModel"):
        export_onnx(model, tmp_path / "model.onnx", window=10)


@pytest.mark.slow
def test_bundle_of_a_coded_training_has_its_codes_and_nowhere_a_row_an_item(tmp_path: Path) -> None:
    items, codes = 3_000, CodesConfig(splits=4, bits=4)
    log, valid = tiny_log(100, items=items), tiny_log(10, seed=1, items=items)
    preset = dataclasses.replace(tiny_preset(epochs=1), codes=codes)
    trained = train_preset(log, valid, preset)
    bundle = export_bundle(trained, log, valid, preset, {}, tmp_path)
    assert bundle.manifest.item_table == Coded(splits=4, code_bits=4, made_by="svd")
    assert bundle.manifest.parity["scoring"] == "codes"
    assert bundle.vectors_path is None
    assert bundle.codes is not None
    expected = stored(trained.encoders)
    np.testing.assert_array_equal(bundle.codes.codes, expected.codes)
    np.testing.assert_array_equal(bundle.codes.books, expected.books)
    sizes = [list(weight.dims) for weight in onnx.load(str(bundle.onnx_path)).graph.initializer]
    assert [dims for dims in sizes if np.prod(dims) > items] == [[items + 1, 4]]  # the codes, a byte each
    again = with_manifest(bundle, bundle.manifest)
    assert again.codes is not None
    np.testing.assert_array_equal(again.codes.codes, expected.codes)
    ranker, session = Ranker(bundle, RankerConfig(threads=1)), log.session(0)[-bundle.manifest.window :]
    ids, scores = ranker.rank([session], 5, [session])
    with torch.inference_mode():
        vector = VectorModel(trained.encoders)(
            padded([session]), torch.zeros((1, 1), dtype=torch.int32), torch.tensor(0.0)
        )
    every = expected.vectors(np.arange(1, items + 1)) @ vector.numpy()[0]
    every[session - 1] = -np.inf
    np.testing.assert_allclose(scores[0], np.sort(every)[::-1][:5], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(every[ids[0] - 1], scores[0], rtol=1e-4, atol=1e-4)
