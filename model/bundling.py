"""From trained encoders to a bundle with its figures: graph, parity, manifest, evaluation through the ranker."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.bundle.bundle import SESSIONS, Bundle
from export.bundle.manifest import Coded, ItemTable, Lineage, Manifest, TrainingWindow
from export.bundle.vocabulary import PAD, Vocabulary
from export.bundle.writing import write_bundle
from export.graph.after import MIXED_NEAR
from export.graph.choice import Scoring, describe, export_chosen, export_vectors
from export.graph.parity import ROUNDING
from export.graph.topk import DEFAULT_K_MAX
from export.graph.tower import export_tower
from export.items.features import FeatureVocabulary
from export.ranking.known_features import write_known
from export.ranking.similar import write_vectors
from model.after.layer import find_layer, make_layer
from model.cards.measure import Measured, measured
from model.codes.newcomers import with_newcomers
from model.config import Preset
from model.data.known_items import KnownItems
from model.data.log import SessionLog
from model.evaluate.protocol import prefixes
from model.learn.trained import Trained
from model.machine.memory import release_memory, trim_heap
from model.nets.coded import CodedItems
from model.nets.encoder import Encoder
from model.nets.plain import plain_all
from model.nets.serving import ServingModel
from model.nets.sessions import export_sessions
from model.nets.vectors import VectorModel, stored
from model.reports.beside import verdict
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["LIBRARIES", "export_bundle", "export_towers", "library_versions", "sample", "with_figures", "with_manifest"]

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy")  # whose versions the manifest records
COMPARED = 5_000  # lists, at least, of both ways to score; as many again where that does not divide well


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
    items: KnownItems | None = None,
    afterwards: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    compared: int = COMPARED,
    like: Mapping[str, Any] | None = None,
    goes_on: bool = False,
) -> Bundle:
    """Write the graph of the trained encoders and what belongs to it into `directory`. ParityError if they differ.

    items: what the encoders were trained with; those that nobody has clicked enter the catalogue behind the others.
    afterwards: the layer behind the network as a judged training has recorded it, whose held-out sessions are learned
    now; None: found on `valid`. Its counts are those of `log`. before: the layer of the version that the training goes
    on from, which is kept where `valid` holds too little to find one by.
    goes_on: a refit follows that learns for longer, and keeps the layer.
    compared: lists of either way to score, about. like: the parity of a judged training, which chose that before.
    `auto` scores in int8 where that gives the lists of exact scoring on validation sessions (`export.graph.choice`).
    """
    encoders, log, tower = _with_newcomers(trained.encoders, log, items, on_progress)
    count, window = len(log.vocabulary), preset.encoder.window
    k_max = min(DEFAULT_K_MAX, count)
    onnx_file, seed = directory / "model.onnx", preset.train.seed
    record = (
        find_layer(encoders, log, valid, preset, on_progress, before=before, goes_on=goes_on)
        if afterwards is None
        else dict(afterwards)
    )
    if preset.codes is not None:
        parity = export_vectors(VectorModel(encoders), onnx_file, window=window, items=count, seed=seed)
        tables: dict[str, tuple[ItemTable, ...]] = {}
    else:
        layer = make_layer(record, log)
        trim_heap()  # of what was counted
        serving = ServingModel(encoders, fresh=tower is not None, after=layer)
        parity = export_chosen(
            lambda margin: (
                serving
                if margin is None
                else ServingModel(encoders, margin=margin, fresh=tower is not None, after=layer)
            ),
            onnx_file,
            window=window,
            items=count,
            k=k_max,
            sessions=sample(valid, window, compared),
            scoring=scoring,
            seed=seed,
            near=ROUNDING if layer is None else MIXED_NEAR,
            like=like,
        )
        tables = export_sessions(serving, directory / SESSIONS, onnx_file, items=count, seed=seed)
        parity = {**parity, "scanned": bool(tables)}
        del serving, layer
    release_memory()  # of graphs as objects, and of what compared them
    on_progress(Progress(stage="export", message=f"{onnx_file.stat().st_size / 2**20:.1f} MiB"))
    on_progress(Progress(stage="parity", message=f"the graph ranks as PyTorch does, {describe(parity)}"))
    manifest = Manifest(
        created_ts=time.time_ns() // 1_000_000,
        preset=preset.name,
        config=preset.to_dict(),
        items=count,
        window=window,
        k_max=k_max,
        training=TrainingWindow(first_ts=log.first_ts, last_ts=log.last_ts, sessions=log.sessions, clicks=log.clicks),
        valid={},
        baselines=baselines,
        parity=parity,
        libraries=library_versions(),
        lineage=lineage,
        item_table=_coded(preset),
        afterwards=record,
        tables=tables.get("tables", ()),
        layered=tables.get("layered", ()),
    )
    if preset.codes is not None:
        stored(encoders).save(directory)
    if tower is not None:
        export_towers(trained.encoders, directory / "tower.onnx", preset.train.seed)
    return write_bundle(
        directory,
        onnx_file=onnx_file,
        vocabulary=log.vocabulary,
        popularity=log.popularity(),
        manifest=manifest,
        tower_file=None if tower is None else directory / "tower.onnx",
        features=tower,
        known_file=None
        if items is None or tower is None
        else _write_known(items, log.vocabulary, directory / "known.npy"),
        vectors_file=None if preset.codes is not None else _write_vectors(encoders, directory / "vectors.npy"),
        sessions_file=directory / SESSIONS if tables else None,
        codes_in=None if preset.codes is None else directory,
    )


def _coded(preset: Preset) -> Coded | None:
    codes = preset.codes
    return None if codes is None else Coded(splits=codes.splits, code_bits=codes.bits, made_by=codes.made_by)


def _write_vectors(encoders: Sequence[Encoder], path: Path) -> Path:
    """Write what the items are compared by: the item tables of all encoders side by side, as they score."""
    tables = torch.cat([encoder.table for encoder in encoders], dim=1)
    write_vectors(path, tables[PAD + 1 :].detach().cpu().float().numpy())
    return path


def _write_known(items: KnownItems, vocabulary: Vocabulary, path: Path) -> Path:
    """Write the features that the vectors of the served items are made of, newcomers among them."""
    write_known(path, items.features(vocabulary).rows)
    return path


def _with_newcomers(
    encoders: Sequence[Encoder], log: SessionLog, items: KnownItems | None, on_progress: OnProgress
) -> tuple[list[Encoder], SessionLog, FeatureVocabulary | None]:
    """Return the encoders as they are served, the log with what they know as vocabulary, and the tower's features."""
    if items is None:
        return plain_all(encoders), log, None
    cold = items.newcomers(log.vocabulary)
    if isinstance(encoders[0].items, CodedItems):
        coded, kept = with_newcomers(encoders, items.features(log.vocabulary).rows, cold)
        left = f"; {left:,} have no value that a clicked item has" if (left := len(cold.item_ids) - len(kept)) else ""
        on_progress(
            Progress(
                stage="export", message=f"{len(kept):,} items without a click have codes by their attributes{left}"
            )
        )
        return coded, replace(log, vocabulary=_longer(log.vocabulary, kept)), None
    on_progress(Progress(stage="export", message=f"{len(cold.item_ids):,} items without a click, by their attributes"))
    vocabulary = _longer(log.vocabulary, cold.item_ids)
    return plain_all(encoders, cold.rows), replace(log, vocabulary=vocabulary), items.vocabulary


def _longer(vocabulary: Vocabulary, item_ids: Sequence[str]) -> Vocabulary:
    return Vocabulary(chain(vocabulary.items, item_ids)) if item_ids else vocabulary


def export_towers(encoders: Sequence[Encoder], path: Path, seed: int) -> None:
    """Write the towers of the encoders as one graph; ParityError where it does not give the vectors that they give."""
    towers = [encoder.tower.features for encoder in encoders if encoder.tower is not None]

    def vectors(codes: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            given = torch.from_numpy(codes).to(towers[0].newcomer.device), torch.from_numpy(weights)
            found = torch.cat([tower(given[0], given[1].to(given[0].device)) for tower in towers], dim=1)
        return found.cpu().numpy()

    export_tower([tower.arrays() for tower in towers], path, vectors, seed=seed)


def sample(valid: SessionLog, window: int, compared: int = COMPARED) -> list[NDArray[np.int32]]:
    """Return beginnings of validation sessions, events of interest, evenly from all there are, the shortest first."""
    valid = valid.wanted()
    starts, targets = prefixes(valid, window)
    every = slice(None, None, max(1, len(targets) // compared))
    return [valid.items[start:end] for start, end in zip(starts[every], targets[every], strict=True)]


def with_figures(
    bundle: Bundle,
    valid: SessionLog,
    preset: Preset,
    on_progress: OnProgress = ignore,
    *,
    left_out: Mapping[str, str] | None = None,
) -> tuple[Bundle, Measured]:
    """Evaluate the exported graph through the Ranker; return the bundle with the figures in its manifest, and them.

    It is said whether they are above those of its baselines; `left_out`: those that were not asked, and why.
    """
    found = measured(bundle, valid, preset.train.threads)
    figures = found.figures
    on_progress(Progress(stage="evaluate", message="the exported graph", metrics=figures))
    if said := verdict(figures, bundle.manifest.baselines, left_out):
        on_progress(Progress(stage="evaluate", message=said))
    return with_manifest(bundle, msgspec.structs.replace(bundle.manifest, valid=figures)), found


def with_manifest(bundle: Bundle, manifest: Manifest, *, cards_in: Path | None = None) -> Bundle:
    """Return the bundle with another manifest, the hashes of its files apart, which stay; and with a card, where a
    folder has one."""
    return write_bundle(
        bundle.path,
        onnx_file=bundle.onnx_path,
        vocabulary=bundle.vocabulary,
        popularity=bundle.popularity,
        manifest=manifest,
        tower_file=bundle.tower_path,
        features=bundle.features,
        known_file=bundle.known_path,
        vectors_file=bundle.vectors_path,
        sessions_file=bundle.sessions_path,
        codes_in=None if bundle.codes is None else bundle.path,
        cards_in=cards_in or (bundle.path if bundle.has_card else None),
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
