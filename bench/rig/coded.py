"""Bundles of item codes, made without training, as the scan asks for codes and books, not for learning.

A session's vector is the mean of its items' vectors, moved away from what it dislikes as a trained graph does.
V items, m splits, W width of a sub-vector, H = m W, B sessions, L positions, A disliked items.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench.rig.toy import WINDOW, toy_manifest, toy_vocabulary
from export.bundle.bundle import Bundle
from export.bundle.manifest import Coded
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.codes.codes import ItemCodes
from model.codes.config import CodesConfig
from model.codes.make import make_codes
from model.data.log import SessionLog

__all__ = ["coded_bundle", "coded_graph", "random_codes", "vectors_of", "zipf_codes"]

_LEAST = 1e-12


def random_codes(
    items: int, *, splits: int = 4, bits: int = 8, width: int = 2, seed: int = 0, kinds: int = 0, skew: float = 0.0
) -> ItemCodes:
    """Return random codes and books.

    kinds: how many different items there are, 0: no end. skew: by how much, as a logarithm, a book is wider than the
    next.
    """
    random = np.random.default_rng(seed)
    codes = np.zeros((items + 1, splits), np.uint8)
    codes[1:] = random.integers(0, 1 << bits, (items, splits))
    if kinds:
        codes[1:] = codes[1 + random.integers(0, min(kinds, items), items)]
    spread = np.exp(-skew * np.arange(splits, dtype=np.float32))[:, None, None]
    return ItemCodes(codes, random.standard_normal((splits, 1 << bits, width), dtype=np.float32) * spread)


def zipf_codes(
    items: int, *, splits: int, bits: int, width: int, seed: int = 0, queries: int = 1_000
) -> tuple[ItemCodes, NDArray[np.float32]]:
    """Return codes by SVD of simulated sessions, books that go evenly from code to code, and vectors of sessions.

    A session is about one of many themes; themes, and items within one, are clicked by Zipf's law.
    """
    random = np.random.default_rng(seed)
    sessions, clicks, themes = max(items // 5, queries), 5, max(1, items // 200)
    theme = random.zipf(1.2, sessions) % themes
    within = random.zipf(1.3, (sessions, clicks)) % max(1, items // themes)
    of_session = (1 + (theme[:, None] + themes * within) % items).astype(np.int32)
    log = SessionLog(
        items=of_session.ravel(),
        offsets=np.arange(0, sessions * clicks + 1, clicks, dtype=np.int64),
        ts=np.arange(sessions * clicks, dtype=np.int64),
        vocabulary=toy_vocabulary(items),
    )
    codes = make_codes(log, CodesConfig(made_by="svd", splits=splits, bits=bits), seed)
    knots = random.standard_normal((splits, 9, width)) * np.exp(-0.15 * np.arange(splits))[:, None, None]
    at = np.linspace(0, 8, 1 << bits)
    books = np.stack([[np.interp(at, range(9), column) for column in split.T] for split in knots]).transpose(0, 2, 1)
    books += 0.1 * random.standard_normal(books.shape)
    made = ItemCodes(codes, np.ascontiguousarray(books, dtype=np.float32))
    some = of_session[random.choice(sessions, queries, replace=False)]
    return made, np.stack([made.vectors(row).mean(axis=0) for row in some])


def vectors_of(
    codes: ItemCodes, sessions: list[NDArray[np.int32]], away: list[NDArray[np.int32]] | None = None, push: float = 0.0
) -> NDArray[np.float32]:
    """Return (B, H), what the graph gives, by numpy."""
    found = np.stack([codes.vectors(items).mean(axis=0) for items in sessions])
    for row, disliked in enumerate(away or []):
        rows = codes.vectors(disliked)
        mean = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST)).sum(axis=0)
        mean /= max(float(np.linalg.norm(mean)), _LEAST)
        found[row] -= push * max(float(found[row] @ mean), 0.0) * mean
    return found


def coded_bundle(
    directory: Path, codes: ItemCodes, *, vocabulary: Vocabulary | None = None, k_max: int = 10, window: int = WINDOW
) -> Bundle:
    """Write a bundle; item i was clicked i times."""
    directory.mkdir(parents=True, exist_ok=True)
    graph = directory / "model.onnx"
    graph.write_bytes(coded_graph(codes).SerializeToString(deterministic=True))
    codes.save(directory)
    stated = Coded(splits=codes.splits, code_bits=codes.code_bits, made_by="random")
    manifest = toy_manifest(codes.items, min(k_max, codes.items), window)
    return write_bundle(
        directory,
        onnx_file=graph,
        vocabulary=vocabulary or toy_vocabulary(codes.items),
        popularity=np.arange(1, codes.items + 1, dtype=np.int64),
        manifest=msgspec.structs.replace(manifest, item_table=stated),
        codes_in=directory,
    )


def coded_graph(codes: ItemCodes) -> onnx.ModelProto:
    """Return a graph with the inputs ids, away and push, and the output vectors."""
    places = codes.codes.astype(np.uint8)
    offsets = codes.values * np.arange(codes.splits, dtype=np.int64)
    constants: dict[str, NDArray[Any]] = {
        "codes": places,
        "offsets": offsets,
        "books": codes.books.reshape(-1, codes.books.shape[2]),
        "wide": np.array([0, 0, codes.hidden], np.int64),
        "zero": np.array(0, np.int32),
        "nothing": np.array(0, np.float32),
        "least": np.array(_LEAST, np.float32),
        "first": np.array([1], np.int64),
        "last": np.array([2], np.int64),
    }
    nodes = [
        *_rows("ids"),
        helper.make_node("ReduceSum", ["ids_rows", "first"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["ids_real", "first"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["hidden"]),
        *_rows("away"),
        helper.make_node("ReduceL2", ["away_rows", "last"], ["lengths"], keepdims=1),
        helper.make_node("Max", ["lengths", "least"], ["some_length"]),
        helper.make_node("Div", ["away_rows", "some_length"], ["directions"]),
        helper.make_node("ReduceSum", ["directions", "first"], ["together"], keepdims=0),
        helper.make_node("ReduceL2", ["together", "first"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "least"], ["some"]),
        helper.make_node("Div", ["together", "some"], ["mean"]),
        helper.make_node("Mul", ["hidden", "mean"], ["shares"]),
        helper.make_node("ReduceSum", ["shares", "first"], ["share"], keepdims=1),
        helper.make_node("Max", ["share", "nothing"], ["positive"]),
        helper.make_node("Mul", ["positive", "push"], ["pushed"]),
        helper.make_node("Mul", ["pushed", "mean"], ["moved"]),
        helper.make_node("Sub", ["hidden", "moved"], ["vectors"]),
    ]
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT32, ["B", "L"]),
        helper.make_tensor_value_info("away", TensorProto.INT32, ["B", "A"]),
        helper.make_tensor_value_info("push", TensorProto.FLOAT, []),
    ]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", codes.hidden])]
    initial = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "coded", inputs, outputs, initial)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _rows(name: str) -> list[onnx.NodeProto]:
    """Return what gathers the vectors (B, L, H) of ids (B, L), zeros at padding."""
    return [
        helper.make_node("Gather", ["codes", name], [f"{name}_codes"]),  # (B, L, m)
        helper.make_node("Cast", [f"{name}_codes"], [f"{name}_wide"], to=TensorProto.INT64),
        helper.make_node("Add", [f"{name}_wide", "offsets"], [f"{name}_places"]),
        helper.make_node("Gather", ["books", f"{name}_places"], [f"{name}_parts"]),  # (B, L, m, W)
        helper.make_node("Reshape", [f"{name}_parts", "wide"], [f"{name}_all"]),
        helper.make_node("Greater", [name, "zero"], [f"{name}_kept"]),
        helper.make_node("Cast", [f"{name}_kept"], [f"{name}_flat"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", [f"{name}_flat", "last"], [f"{name}_real"]),
        helper.make_node("Mul", [f"{name}_all", f"{name}_real"], [f"{name}_rows"]),
    ]
