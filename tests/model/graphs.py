"""Graphs of tiny models without the seconds that the exporter needs for each: translated once, then given weights.

What it writes for two models of one shape differs in their weights only. Every export compares its graph with its
module (`check_parity`), so a graph that was given wrong weights fails the test that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

__all__ = ["Translations"]

_Weights = dict[str, NDArray[Any]]
# As the exporter folds a weight into another constant
_FOLDS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "whole": lambda weight: weight,
    "transposed": lambda weight: weight.T,
    "without padding": lambda weight: weight[1:],
    "transposed, without padding": lambda weight: weight[1:].T,
}


class Translations:
    """In the place of the exporter's translation, `real`: the first of each shape is real."""

    def __init__(self, real: Callable[..., onnx.ModelProto]) -> None:
        self._real = real
        self._known: dict[object, tuple[onnx.ModelProto, dict[str, tuple[str, str]]]] = {}

    def __call__(self, serving: nn.Module, window: int) -> onnx.ModelProto:
        """The graph of a module."""
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in serving.state_dict().items()}
        key = (window, repr(serving), tuple((name, one.shape, str(one.dtype)) for name, one in weights.items()))
        if key not in self._known:
            graph = self._real(serving, window)
            sources = _sources(graph, weights)
            if sources is None:
                return graph
            self._known[key] = _copied(graph), sources
            return graph
        graph, sources = _copied(self._known[key][0]), self._known[key][1]
        for constant in graph.graph.initializer:
            if constant.name in sources:
                name, fold = sources[constant.name]
                value = np.ascontiguousarray(_FOLDS[fold](weights[name]))
                constant.CopyFrom(numpy_helper.from_array(value, constant.name))
        return graph


def _sources(graph: onnx.ModelProto, weights: _Weights) -> dict[str, tuple[str, str]] | None:
    """Constant -> the weight it is, and how it is folded; None where one has no weight, or may have two."""
    found = {}
    for constant in graph.graph.initializer:
        value = numpy_helper.to_array(constant)
        if value.size <= 1 or not np.issubdtype(value.dtype, np.floating):
            continue
        if constant.name in weights and np.array_equal(value, weights[constant.name]):
            found[constant.name] = constant.name, "whole"
            continue
        matching = {
            fold: name for name, one in weights.items() for fold, do in _FOLDS.items() if np.array_equal(do(one), value)
        }
        if len(matching) != 1:
            return None
        [(fold, name)] = matching.items()
        found[constant.name] = name, fold
    return found


def _copied(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy
