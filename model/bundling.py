"""From trained encoders to a bundle with its figures: graph, parity, manifest, evaluation through the ranker."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle, write_bundle
from export.bundle.manifest import Lineage, Manifest, TrainingWindow
from export.graph.choice import Scoring, describe, export_chosen
from export.graph.topk import DEFAULT_K_MAX
from export.ranking.ranker import Ranker, RankerConfig
from model.config import Preset
from model.data.log import SessionLog
from model.evaluate.metrics import MAIN
from model.evaluate.protocol import evaluate, prefixes
from model.learn.train import Trained
from model.nets.serving import ServingModel
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["LIBRARIES", "export_bundle", "library_versions", "sample", "with_figures", "with_manifest"]

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy")  # whose versions the manifest records
_COMPARED = 5_000  # lists, at least, of both ways to score; as many again where that does not divide well


def export_bundle(
    trained: Trained,
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    baselines: dict[str, dict[str, float]],
    directory: Path,
    on_progress: OnProgress = ignore,
    *,
    scoring: Scoring = "auto",
    lineage: Lineage | None = None,
) -> Bundle:
    """Write the graph of the trained encoders and what belongs to it into `directory`. ParityError if they differ.

    `auto` scores in int8 where that gives the lists of exact scoring on validation sessions (`export.graph.choice`).
    """
    items, window = len(log.vocabulary), preset.encoder.window
    k_max = min(DEFAULT_K_MAX, items)
    onnx_file = directory / "model.onnx"
    parity = export_chosen(
        lambda margin: ServingModel(trained.encoders, margin=margin),
        onnx_file,
        window=window,
        items=items,
        k=k_max,
        sessions=sample(valid, window),
        scoring=scoring,
        seed=preset.train.seed,
    )
    on_progress(Progress(stage="export", message=f"{onnx_file.stat().st_size / 2**20:.1f} MiB"))
    on_progress(Progress(stage="parity", message=f"the graph ranks as PyTorch does, {describe(parity)}"))
    manifest = Manifest(
        created_ts=time.time_ns() // 1_000_000,
        preset=preset.name,
        config=preset.to_dict(),
        items=items,
        window=window,
        k_max=k_max,
        training=TrainingWindow(first_ts=log.first_ts, last_ts=log.last_ts, sessions=log.sessions, clicks=log.clicks),
        valid={},
        baselines=baselines,
        parity=parity,
        libraries=library_versions(),
        lineage=lineage,
    )
    return write_bundle(
        directory, onnx_file=onnx_file, vocabulary=log.vocabulary, popularity=log.popularity(), manifest=manifest
    )


def sample(valid: SessionLog, window: int) -> list[NDArray[np.int32]]:
    """Return beginnings of validation sessions, events of interest, evenly from all there are, the shortest first."""
    valid = valid.wanted()
    starts, targets = prefixes(valid, window)
    every = slice(None, None, max(1, len(targets) // _COMPARED))
    return [valid.items[start:end] for start, end in zip(starts[every], targets[every], strict=True)]


def with_figures(bundle: Bundle, valid: SessionLog, preset: Preset, on_progress: OnProgress = ignore) -> Bundle:
    """Evaluate the exported graph through the Ranker, and return the bundle with the figures in its manifest."""
    ranker = Ranker(bundle, RankerConfig(threads=preset.train.threads))
    figures = evaluate(ranker, valid, window=bundle.manifest.window).to_json()
    on_progress(Progress(stage="evaluate", message="the exported graph", metrics=figures))
    if poorer := [name for name, other in bundle.manifest.baselines.items() if figures[MAIN] < other[MAIN]]:
        message = f"the model's lists are poorer than those of {' and '.join(poorer)}: train longer, or on more clicks"
        on_progress(Progress(stage="evaluate", message=message))
    return with_manifest(bundle, msgspec.structs.replace(bundle.manifest, valid=figures))


def with_manifest(bundle: Bundle, manifest: Manifest) -> Bundle:
    """Return the bundle with another manifest, the hashes of its files apart, which stay."""
    return write_bundle(
        bundle.path,
        onnx_file=bundle.onnx_path,
        vocabulary=bundle.vocabulary,
        popularity=bundle.popularity,
        manifest=manifest,
    )


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that trained and exported."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # onnxruntime may be there under the name of its GPU build
            continue
    return found
