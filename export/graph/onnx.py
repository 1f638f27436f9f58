"""PyTorch to one ONNX graph: ids and exclusions in, top-k out, any batch size and length.

B sessions, L positions, E exclusions a session, V catalogue, K asked for.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from torch import nn

from export.bundle.interface import INPUTS, OUTPUTS
from export.bundle.vocabulary import PAD
from export.errors import ConfigError, ParityError

__all__ = ["export_onnx"]

_OPSET = 18  # every operator used, and read by every ONNX Runtime since 1.14
_EXAMPLE_B, _EXAMPLE_E = 3, 2  # a traced dimension of 0 or 1 would be baked in as a constant


def export_onnx(serving: nn.Module, path: Path | str, *, window: int) -> None:
    """Write `serving` to `path` as one file, weights inside; the same weights give the same bytes.

    serving: module in any mode, `forward(ids int32 (B, L), exclude int32 (B, E), k int64 ()) -> (top_ids int32 (B, K),
    top_scores float32 (B, K))`, ids right-padded with 0, 1 <= L <= window, E >= 1, 1 <= K <= V. It is exported in
    evaluation mode and put back.
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
    _check_interface(proto)
    Path(path).write_bytes(proto.SerializeToString(deterministic=True))


def _translate(serving: nn.Module, window: int) -> onnx.ModelProto:
    device = next((tensor.device for tensor in serving.state_dict().values()), torch.device("cpu"))
    length = min(window, 4)
    ids = torch.ones((_EXAMPLE_B, length), dtype=torch.int32, device=device)
    exclude = torch.full((_EXAMPLE_B, _EXAMPLE_E), PAD, dtype=torch.int32, device=device)
    k = torch.tensor(1, device=device)
    batch, positions, excluded = torch.export.Dim("B"), torch.export.Dim("L", max=window), torch.export.Dim("E")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            serving,
            (ids, exclude, k),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch, 1: positions}, {0: batch, 1: excluded}, {}),
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns a program"
    return program.model_proto


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


def _check_interface(proto: onnx.ModelProto) -> None:
    for value in proto.graph.input:
        fixed = [dim.dim_value for dim in value.type.tensor_type.shape.dim if not dim.dim_param]
        if fixed:
            raise ParityError(f"the exporter fixed a dimension of `{value.name}` at {fixed}: it must stay dynamic")
    names = tuple(value.name for value in proto.graph.input), tuple(value.name for value in proto.graph.output)
    if names != (INPUTS, OUTPUTS):
        raise ParityError(f"the exported graph has inputs and outputs {names}, not {INPUTS, OUTPUTS}")
