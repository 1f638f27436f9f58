"""The graph of sessions' vectors beside the one that ranks: cut out of that, and small, as weights stay in its file.

V items, W_p width of a part of their vectors.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.utils import Extractor
from torch import nn

from export.bundle.interface import Port
from export.bundle.manifest import ItemTable
from export.errors import ParityError
from export.graph.onnx import ports_of
from export.graph.parity import check_parity

__all__ = ["SCANNED_FROM", "export_beside"]

SCANNED_FROM = 4_096  # items: lists of fewer are made as fast inside the graph

_WORTH = 1 << 16  # bytes of a weight that are left in the other file
_LOOKED_FOR = 1 << 12  # bytes of it that are looked for there; the rest is compared


def export_beside(
    module: nn.Module,
    path: Path,
    ranking: Path,
    tables: Sequence[NDArray[np.float32] | NDArray[np.int32]],
    *,
    window: int,
    items: int,
    seed: int = 0,
) -> tuple[ItemTable, ...]:
    """Write the graph of `module`, which gives sessions' vectors, and return where tables are in `ranking`.

    ranking: the file of the graph that ranks, in the same folder, in which the module's outputs are marked
    (`export_onnx`). tables: (V + 1, W_p), of the items' vectors, and of what a layer knows. Nothing is written and
    nothing returned where that file does not hold them as they are.
    ParityError where the graph gives other vectors than the module, or the other one has none.
    """
    with open(ranking, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        places = [_place(content, np.ascontiguousarray(table).ravel().view(np.uint8).data) for table in tables]
        if -1 in places:
            return ()
        proto = _cut(onnx.load(str(ranking)), *ports_of(module))
        for weight in proto.graph.initializer:
            if len(weight.raw_data) >= _WORTH and (at := _place(content, memoryview(weight.raw_data))) >= 0:
                _leave(weight, ranking.name, at)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    check_parity(module, path, window=window, items=items, k=1, seed=seed)
    return tuple(ItemTable(at=at, width=table.shape[1]) for at, table in zip(places, tables, strict=True))


def _cut(whole: onnx.ModelProto, inputs: Sequence[Port], outputs: Sequence[Port]) -> onnx.ModelProto:
    """Return what makes values called as `outputs` of a graph; it takes `inputs`, whether it needs all or not."""
    wanted = [port.name for port in outputs]
    if missing := set(wanted).difference(*(node.output for node in whole.graph.node)):
        raise ParityError(f"the graph that ranks has no value called {', '.join(sorted(missing))}")
    whole.graph.output.extend(map(_value, outputs))
    return Extractor(whole).extract_model([port.name for port in inputs], wanted)


def _value(port: Port) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return onnx.helper.make_tensor_value_info(port.name, kind, port.dims)


def _place(content: mmap.mmap, wanted: memoryview) -> int:
    """Return where the bytes are; -1: nowhere."""
    beginning = bytes(wanted[:_LOOKED_FOR])
    at = content.find(beginning)
    while at >= 0:
        with memoryview(content) as every, every[at : at + len(wanted)] as found:
            if found == wanted:
                break
        at = content.find(beginning, at + 1)
    return at


def _leave(weight: TensorProto, name: str, at: int) -> None:
    """Have a weight read from another file."""
    size = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", str(at)), ("length", str(size))):
        weight.external_data.add(key=key, value=value)
