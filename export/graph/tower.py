"""The small graph of a bundle with an item tower: features of items in, their vectors out.

It is written operator by operator, which takes no time and needs no tracing. The towers of several encoders stand side
by side in it, as their item tables do in the graph that ranks.

X items, A features of the one that has most, H_i hidden width of an encoder, H of all together.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.errors import ParityError
from export.ranking.embedder import TOWER_INPUTS, TOWER_OUTPUT, open_tower

__all__ = ["TowerWeights", "export_tower"]

TowerWeights = Mapping[
    str, NDArray[np.float32]
]  # values (codes, H_i), widen (I, H_i), narrow (H_i, I), newcomer (H_i,)
Reference = Callable[[NDArray[np.int32], NDArray[np.float32]], NDArray[np.float32]]

_OPSET, _IR = 18, 9
_TOLERANCE = 1e-4
_CHECKED = 64  # items


def export_tower(towers: Sequence[TowerWeights], path: Path, reference: Reference, *, seed: int = 0) -> None:
    """Write the graph of the towers, one an encoder; ParityError where it differs from `reference`.

    reference: codes int32 (X, A) and weights float32 (X, A), 0-padded -> vectors float32 (X, H).
    """
    nodes, constants = list[onnx.NodeProto](), [numpy_helper.from_array(np.array([2], np.int64), "last")]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "features"))
    nodes.append(helper.make_node("Unsqueeze", [TOWER_INPUTS[1], "last"], ["shares"]))  # (X, A, 1)
    for number, tower in enumerate(towers):
        nodes += _tower(number)
        matrices = {"values": tower["values"], "widen": tower["widen"].T, "narrow": tower["narrow"].T}
        for name, array in {**matrices, "newcomer": tower["newcomer"]}.items():
            constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), f"{name}.{number}"))
    vectors = [f"vector.{number}" for number in range(len(towers))]
    nodes.append(helper.make_node("Concat", vectors, [TOWER_OUTPUT], axis=1))
    hidden = sum(len(tower["newcomer"]) for tower in towers)
    graph = helper.make_graph(
        nodes,
        "tower",
        [
            helper.make_tensor_value_info(TOWER_INPUTS[0], TensorProto.INT32, ["X", "A"]),
            helper.make_tensor_value_info(TOWER_INPUTS[1], TensorProto.FLOAT, ["X", "A"]),
        ],
        [helper.make_tensor_value_info(TOWER_OUTPUT, TensorProto.FLOAT, ["X", hidden])],
        constants,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    _check(path, reference, codes=len(towers[0]["values"]), seed=seed)


def _tower(number: int) -> list[onnx.NodeProto]:
    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        names = [name if "." in name or name in _SHARED else f"{name}.{number}" for name in inputs]
        return helper.make_node(operator, names, [f"{output}.{number}"], **attributes)

    return [
        node("Gather", ["values", TOWER_INPUTS[0]], "rows", axis=0),  # (X, A, H_i)
        node("Mul", ["rows", "shares"], "weighted"),
        node("ReduceSum", ["weighted", "features"], "x", keepdims=0),  # (X, H_i)
        node("MatMul", ["x", "widen"], "wide"),
        node("Relu", ["wide"], "active"),
        node("MatMul", ["active", "narrow"], "added"),
        node("Add", ["x", "added"], "both"),
        node("Add", ["both", "newcomer"], "vector"),
    ]


_SHARED = (*TOWER_INPUTS, "shares", "features")  # the same for all towers


def _check(path: Path, reference: Reference, *, codes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    session = open_tower(path)
    for items, most in ((1, 1), (_CHECKED, 5)):
        chosen = random.integers(0, codes, (items, most)).astype(np.int32)
        weights = (random.random((items, most)) * (chosen > 0)).astype(np.float32)
        (found,) = session.run([TOWER_OUTPUT], dict(zip(TOWER_INPUTS, (chosen, weights), strict=True)))
        expected = reference(chosen, weights)
        if found.shape != expected.shape or not np.allclose(found, expected, atol=_TOLERANCE, rtol=_TOLERANCE):
            raise ParityError("the graph of the item tower does not give the vectors that PyTorch gives")
