"""Graphs of small models without the seconds that the exporter needs for each: translated once, then given weights.

What it writes for two models of one shape differs in their weights only: test_training_run.py compares the bytes. Every
export compares its graph with its module (`check_parity`), so a graph that was given wrong weights fails the test that
uses it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from filelock import FileLock
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from model.nets.serving import ServingModel

__all__ = ["Translations"]

_SHAPE = 16  # integers: no more of them are the sizes of something, which follow from the shapes of the weights
_Weights = dict[str, NDArray[Any]]
_Sources = dict[str, tuple[str, list[str]]]  # constant -> how it is folded, of which weights


def _gates(weight: NDArray[Any]) -> NDArray[Any]:
    """PyTorch's order of a GRU's gates in that of ONNX: reset, update, new -> update, reset, new."""
    reset, update, new = np.split(weight, 3)
    return np.concatenate([update, reset, new])[None]


# As the exporter folds weights into another constant
_FOLDS: dict[str, Callable[..., NDArray[Any]]] = {
    "whole": lambda weight: weight,
    "transposed": lambda weight: weight.T,
    "without padding": lambda weight: weight[1:],
    "transposed, without padding": lambda weight: weight[1:].T,
    "gates": _gates,
    "biases of gates": lambda of_input, of_state: np.concatenate([_gates(of_input), _gates(of_state)], axis=1),
}


class Translations:
    """In the place of the exporter's translation, `real`: in all processes that share `folder`, the first of each shape
    is real. So is every one with int8 scoring or a layer behind it, whose constants are computed, or are no weights."""

    def __init__(self, real: Callable[..., onnx.ModelProto], folder: Path) -> None:
        self._real, self._folder = real, folder
        folder.mkdir(exist_ok=True)

    def __call__(self, serving: nn.Module, window: int) -> onnx.ModelProto:
        """The graph of a module."""
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in serving.state_dict().items()}
        if not isinstance(serving, ServingModel):
            return self._real(serving, window)
        if serving.after is not None or getattr(serving.head, "margin", None) is not None:
            return self._real(serving, window)
        path = self._folder / hashlib.sha256(_shape(serving, window, weights).encode()).hexdigest()[:16]
        with FileLock(f"{path}.lock"):
            if not path.exists():
                graph = self._real(serving, window)
                sources = _sources(graph, weights)
                if sources is not None:
                    path.with_suffix(".onnx").write_bytes(graph.SerializeToString())
                    path.write_text(json.dumps(sources))
                return graph
        graph = onnx.load(path.with_suffix(".onnx"))
        sources = json.loads(path.read_text())
        for constant in graph.graph.initializer:
            if constant.name in sources:
                fold, names = sources[constant.name]
                value = np.ascontiguousarray(_FOLDS[fold](*(weights[name] for name in names)))
                constant.CopyFrom(numpy_helper.from_array(value, constant.name))
        return graph


def _shape(serving: ServingModel, window: int, weights: _Weights) -> str:
    """All that a translation depends on but the values of the weights."""
    configs = [replace(encoder.config, dropout=0.0, input_dropout=None) for encoder in serving.encoders]
    sizes = [(name, one.shape, str(one.dtype)) for name, one in weights.items()]
    return repr((window, configs, serving.inputs, serving.outputs, type(serving.head), sizes))


def _sources(graph: onnx.ModelProto, weights: _Weights) -> _Sources | None:
    """Whence each constant is; None where one has no weight, or may have two."""
    found: _Sources = {}
    for constant in graph.graph.initializer:
        value = numpy_helper.to_array(constant)
        if value.size <= (1 if np.issubdtype(value.dtype, np.floating) else _SHAPE):
            continue
        if constant.name in weights and np.array_equal(value, weights[constant.name]):
            found[constant.name] = "whole", [constant.name]
            continue
        matching = [(fold, names) for fold, names, one in _folded(weights) if np.array_equal(one, value)]
        if len(matching) != 1:
            return None
        found[constant.name] = matching[0]
    return found


def _folded(weights: _Weights) -> Iterator[tuple[str, list[str], NDArray[Any]]]:
    """What constants may be: how folded, of which weights, and the values."""
    for name, weight in weights.items():
        if name == "head.item_table" and "members.1.items.weight" not in weights:
            continue  # the table of the one encoder
        for fold in ("whole", "transposed", "without padding", "transposed, without padding"):
            if weight.ndim == 2 or (fold == "whole" and weight.ndim):
                yield fold, [name], _FOLDS[fold](weight)
        if "_ih_" in name and "bias" in name:
            pair = [name, name.replace("_ih_", "_hh_")]
            yield "biases of gates", pair, _FOLDS["biases of gates"](*(weights[one] for one in pair))
        elif "weight_ih_" in name or "weight_hh_" in name:
            yield "gates", [name], _gates(weight)
