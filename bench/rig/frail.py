"""A bundle of a model that loads and warms up, and then fails to rank some sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.rig.toy import toy_graph, toy_manifest, toy_vocabulary
from export.bundle.bundle import Bundle
from export.bundle.writing import write_bundle

__all__ = ["frail_bundle"]


def frail_bundle(folder: Path, *, items: int, k_max: int, runs_up_to: int) -> Bundle:
    """A toy's, whose graph can't run for a session that holds an item beyond the first `runs_up_to`."""
    graph = onnx.load(toy_graph(items))
    for node in graph.graph.node:
        node.input[:] = ["sound_ids" if name == "ids" else name for name in node.input]
    zeros = numpy_helper.from_array(np.zeros(runs_up_to + 1, np.int32), "zeros")
    graph.graph.initializer.append(zeros)
    looked_up = helper.make_node("Gather", ["zeros", "ids"], ["of_ids"])  # out of its bounds it fails
    graph.graph.node.insert(0, helper.make_node("Add", ["ids", "of_ids"], ["sound_ids"]))
    graph.graph.node.insert(0, looked_up)
    folder.mkdir()
    onnx.save(graph, folder / "frail.onnx")
    return write_bundle(
        folder / "bundle",
        onnx_file=folder / "frail.onnx",
        vocabulary=toy_vocabulary(items),
        popularity=np.arange(1, items + 1, dtype=np.int64),
        manifest=toy_manifest(items, k_max),
    )
