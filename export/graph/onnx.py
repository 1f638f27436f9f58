"""PyTorch to one ONNX graph: ids and exclusions in, top-k out, any batch size and length.

B sessions, L positions, E exclusions a session, V catalogue, K asked for; the ports are `export/bundle/interface.py`'s.
"""

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from export.bundle.interface import (
    INPUTS,
    OUTPUTS,
    REQUIRED_INPUTS,
    REQUIRED_OUTPUTS,
    VECTOR_INPUTS,
    VECTOR_OUTPUTS,
    Port,
    in_order,
)
from export.bundle.vocabulary import PAD
from export.errors import ConfigError, ParityError
from export.garbage import uncollected

__all__ = ["export_onnx", "ports_of"]

_OPSET = 18  # every operator used, and read by every ONNX Runtime since 1.14
_EXAMPLE = {
    "B": 3,
    "E": 2,
    "C": 5,
    "A": 6,
    "X": 7,
    "R": 8,
}  # 0 or 1 would be baked in as a constant
_EXAMPLE_L = 4  # or the window, where that is shorter


def export_onnx(serving: nn.Module, path: Path | str, *, window: int) -> None:
    """Write `serving` to `path` as one file, weights inside; the same weights give the same bytes.

    serving: module in any mode, `forward(ids int32 (B, L), exclude int32 (B, E), k int64 ()) -> (top_ids int32 (B, K),
    top_scores float32 (B, K))`, ids right-padded with 0, 1 <= L <= window, E >= 1, 1 <= K <= V. One that takes or gives
    more says so by its attributes `inputs` and `outputs`, names of ports in the order of `INPUTS` and `OUTPUTS`, and
    `hidden` where it takes vectors. One that gives `vectors` alone needs only ids. One with `marks` gives, while it is
    exported, a value more for each of them, which is no output but has that name in the graph (`beside.py` cuts there).
    It is exported in evaluation mode and put back.
    ConfigError when the window is under 2 (such a graph could not have a dynamic length); ParityError when the
    module can't be translated with B, L, E and K dynamic.
    """
    if window < 2:
        raise ConfigError(f"the window is {window} items; a graph needs at least 2")
    training = serving.training
    serving.eval()
    try:
        proto = _translate(serving, window)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ParityError(f"the exporter can't translate {type(serving).__name__}: {error}") from error
    finally:
        serving.train(training)
    _strip(proto)
    Path(path).write_bytes(proto.SerializeToString(deterministic=True))


def ports_of(serving: nn.Module) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the inputs and the outputs of a serving module. ParityError where it names what there is not."""
    inputs, outputs = getattr(serving, "inputs", REQUIRED_INPUTS), getattr(serving, "outputs", REQUIRED_OUTPUTS)
    ends_early = tuple(outputs) == VECTOR_OUTPUTS
    try:
        return (
            in_order(inputs, INPUTS, VECTOR_INPUTS if ends_early else REQUIRED_INPUTS),
            in_order(outputs, OUTPUTS, VECTOR_OUTPUTS if ends_early else REQUIRED_OUTPUTS),
        )
    except ValueError as error:
        raise ParityError(f"the ports of {type(serving).__name__}: {error}") from error


def _translate(serving: nn.Module, window: int) -> onnx.ModelProto:
    inputs, outputs = ports_of(serving)
    marks: tuple[str, ...] = getattr(serving, "marks", ())
    device = next((tensor.device for tensor in serving.state_dict().values()), torch.device("cpu"))
    sizes = {**_EXAMPLE, "L": min(window, _EXAMPLE_L), "H": getattr(serving, "hidden", 1)}
    free = {dim: torch.export.Dim(dim, max=window) if dim == "L" else torch.export.Dim(dim) for dim in (*_EXAMPLE, "L")}
    with _quiet(), uncollected(), torch.no_grad():
        program = torch.onnx.export(
            serving,
            tuple(_example(port, sizes, device) for port in inputs),
            dynamo=True,
            input_names=[port.name for port in inputs],
            output_names=[*(port.name for port in outputs), *marks],
            dynamic_shapes=_as_taken(
                serving,
                [{place: free[dim] for place, dim in enumerate(port.dims) if dim in free} for port in inputs],
            ),
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns a program"
    proto: onnx.ModelProto = program.model_proto  # made anew each time it is asked for, weights and all
    _forget_weights(program)
    if marks:
        del proto.graph.output[-len(marks) :]
    _check_interface(proto, inputs, outputs)
    return proto


def _forget_weights(program: torch.onnx.ONNXProgram) -> None:
    """Let go of the tensors of a program that is written: onnxscript's rewrite rules, which live as long as the
    process, keep the graph that they saw last."""
    graph = program.model.graph
    once_inputs = getattr(graph.inputs, "_ref_counter", ())  # weights too, by all their names; the tests look at it
    for value in [*once_inputs, *graph.initializers.values()]:
        value.const_value = None


def _as_taken(serving: nn.Module, shapes: Sequence[dict[int, Any]]) -> tuple[Any, ...]:
    """Return one entry an argument of `forward`; what its `*others` takes is one of them."""
    kinds = [parameter.kind for parameter in inspect.signature(serving.forward).parameters.values()]
    named = len(kinds) - (inspect.Parameter.VAR_POSITIONAL in kinds)
    return (*shapes[:named], tuple(shapes[named:])) if len(shapes) > named else tuple(shapes)


def _example(port: Port, sizes: dict[str, int], device: torch.device) -> torch.Tensor:
    value = PAD if port.name in ("exclude", "also", "away") else 1
    shape = tuple(sizes[dim] for dim in port.dims)
    return torch.full(shape, value, dtype=getattr(torch, port.dtype), device=device)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself (deprecations, optional packages): nothing of it is about this graph."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(proto: onnx.ModelProto) -> None:
    """Remove source lines and paths of the machine that exported: no reader needs them, and bytes become repeatable."""
    del proto.metadata_props[:]
    for part in [proto.graph, *proto.functions]:
        del part.metadata_props[:]
        for node in part.node:
            node.doc_string = ""
            del node.metadata_props[:]
    for value in [*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        del value.metadata_props[:]


def _check_interface(proto: onnx.ModelProto, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    for port, value in zip(inputs, proto.graph.input, strict=True):
        dims = zip(port.dims, value.type.tensor_type.shape.dim, strict=True)
        if fixed := [dim.dim_value for name, dim in dims if not dim.dim_param and name != "H"]:
            raise ParityError(f"the exporter fixed a dimension of `{value.name}` at {fixed}: it must stay dynamic")
    names = tuple(value.name for value in proto.graph.input), tuple(value.name for value in proto.graph.output)
    wanted = tuple(port.name for port in inputs), tuple(port.name for port in outputs)
    if names != wanted:
        raise ParityError(f"the exported graph has inputs and outputs {names}, not {wanted}")
