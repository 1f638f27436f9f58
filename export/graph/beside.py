"""The graph of sessions' vectors beside the one that ranks: small, as its weights stay in that one's file.

V items, W_p width of a part of their vectors.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from export.bundle.manifest import ItemTable
from export.graph.onnx import export_onnx
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

    ranking: the file of the graph that ranks, in the same folder. tables: (V + 1, W_p), of the items' vectors, and of
    what a layer knows. Nothing is written and nothing returned where that file does not hold them as they are.
    ParityError where the graph gives other vectors than the module.
    """
    with open(ranking, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        places = [_place(content, np.ascontiguousarray(table).ravel().view(np.uint8).data) for table in tables]
        if -1 in places:
            return ()
        export_onnx(module, path, window=window)
        proto = onnx.load(str(path))
        for weight in proto.graph.initializer:
            if len(weight.raw_data) >= _WORTH and (at := _place(content, memoryview(weight.raw_data))) >= 0:
                _leave(weight, ranking.name, at)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    check_parity(module, path, window=window, items=items, k=1, seed=seed)
    return tuple(ItemTable(at=at, width=table.shape[1]) for at, table in zip(places, tables, strict=True))


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
