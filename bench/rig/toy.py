"""A small serving model and bundles of it, for the tests of the exported side."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from filelock import FileLock
from onnx import numpy_helper
from torch import Tensor, nn

from export.bundle.bundle import Bundle
from export.bundle.manifest import Manifest, TrainingWindow
from export.bundle.vocabulary import PAD, Vocabulary
from export.bundle.writing import write_bundle
from export.graph.candidates import moved_away, scores_of
from export.graph.int8 import Int8TopK
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from export.graph.topk import TopK

WINDOW = 7
ITEMS = 40
_ROOT = Path(__file__).parents[2]
_KEPT = _ROOT / ".cache" / "toys"
_SOURCES = (Path(__file__), *sorted((_ROOT / "export").rglob("*.py")))
_LIBRARIES = ("torch", "onnx", "onnxscript")


class ToyServing(nn.Module):
    """Scores by the decayed sum of the item rows: order matters, padding doesn't. Has the ports of a trained model."""

    inputs = ("ids", "exclude", "k", "also", "away", "push")
    outputs = ("top_ids", "top_scores", "also_scores")

    def __init__(self, items: int = ITEMS, hidden: int = 8, seed: int = 0, margin: int | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(items + 1, hidden, generator=generator))
        self.head = TopK(self.table) if margin is None else Int8TopK([self.table], margin)

    def forward(
        self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        hidden = moved_away(self._hidden(ids), F.embedding(away, self.table), away, push)
        top_ids, top_scores = self.head(hidden, exclude, k)
        return top_ids, top_scores, scores_of(hidden, F.embedding(also, self.table), also)

    def lists(self, ids: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        top_ids, top_scores = self.head(self._hidden(ids), exclude, k)
        return top_ids, top_scores

    def _hidden(self, ids: Tensor) -> Tensor:
        real = (ids != PAD).to(torch.float32)  # (B, L)
        after = real.flip(1).cumsum(1).flip(1) - real  # (B, L) clicks after each position
        weight = real * torch.pow(0.5, after)
        return (F.embedding(ids, self.table) * weight[:, :, None]).sum(1)  # (B, H)


def toy_manifest(items: int = ITEMS, k_max: int = 10, window: int = WINDOW) -> Manifest:
    return Manifest(
        created_ts=1_700_000_000_000,
        preset="toy",
        config={"hidden": 8},
        items=items,
        window=window,
        k_max=k_max,
        training=TrainingWindow(first_ts=0, last_ts=1, sessions=1, clicks=2),
        valid={"recall@20": 0.5},
        baselines={"popularity": {"recall@20": 0.1}},
        parity={},
        libraries={"torch": torch.__version__},
    )


def toy_vocabulary(items: int = ITEMS) -> Vocabulary:
    return Vocabulary(f"item-{number}" for number in range(1, items + 1))


@cache
def toy_graph(items: int = ITEMS, seed: int = 0) -> Path:
    """The graph of a toy model, not to be changed. Exporting takes seconds, so one is exported and gets the tables of
    the others, and all are kept under .cache/ until anything changes that makes them."""
    folder = _KEPT / _maker()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"toy-{items}-{seed}.onnx"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            staged = folder / f"staged-{items}-{seed}" / path.name
            staged.parent.mkdir(exist_ok=True)
            toy = ToyServing(items=items, seed=seed)
            if (items, seed) == (ITEMS, 0):
                export_onnx(toy, staged, window=WINDOW)
            else:
                onnx.save(_with_table(onnx.load(toy_graph()), toy), staged)
                check_parity(toy, staged, window=WINDOW, items=items, k=min(items, 10))
            staged.rename(path)
    return path


def _with_table(graph: onnx.ModelProto, toy: ToyServing) -> onnx.ModelProto:
    """The graph of a toy from that of the usual one: they differ in the table and its size only."""
    table = toy.table.detach().numpy()
    for constant in graph.graph.initializer:
        value = numpy_helper.to_array(constant)
        if value.shape == (ITEMS + 1, table.shape[1]):
            other = table
        elif value.shape == (table.shape[1], ITEMS):
            other = np.ascontiguousarray(table[PAD + 1 :].T)
        elif not value.shape and value == ITEMS:
            other = np.array(len(table) - 1, value.dtype)
        else:
            continue
        constant.CopyFrom(numpy_helper.from_array(other, constant.name))
    del graph.graph.value_info[:]  # shapes
    return graph


def _maker(sources: Iterable[Path] = _SOURCES) -> str:
    """What made a graph, as the name of a folder: code and libraries."""
    made_by = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    for source in sources:
        made_by.update(hashlib.sha256(source.read_bytes()).digest())
    return made_by.hexdigest()[:16]


def toy_bundle(directory: Path, *, items: int = ITEMS, k_max: int = 10, seed: int = 0) -> Bundle:
    """Export a toy model and write its bundle; item i was clicked i times."""
    return write_bundle(
        directory,
        onnx_file=toy_graph(items, seed),
        vocabulary=toy_vocabulary(items),
        popularity=np.arange(1, items + 1, dtype=np.int64),
        manifest=toy_manifest(items, k_max),
    )
