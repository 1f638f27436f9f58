"""A bundle of random weights: as fast as a trained one, made in seconds for any preset and catalogue."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from export.afterwards import BARRED, NEIGHBOURS, AfterwardsConfig
from export.bundle.bundle import MODEL, SESSIONS, load_bundle
from export.bundle.manifest import Manifest, TrainingWindow
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.graph.after import Afterwards
from export.graph.choice import INT8_FROM, MARGINS, Scoring
from export.graph.onnx import export_onnx
from export.registry.registry import Registry
from model.after.held_out import DECAYS
from model.nets.encoders import build_encoder
from model.nets.serving import ServingModel
from model.nets.sessions import export_sessions
from model.presets import preset


def publish_random(
    registry: Path,
    item_ids: list[str],
    scratch: Path,
    *,
    name: str = "tron",
    seed: int = 0,
    scoring: Scoring = "auto",
    fresh: bool = False,
    counted: int = 0,
) -> Path:
    """Publish an untrained model of the preset `name` over `item_ids`; return the bundle's folder in the registry.

    With `auto` it gets the graph that a trained one of this size gets: how alike lists are plays no part here.
    fresh: one that takes newer vectors, as of a model with a tower. counted: clicks whose counts a layer behind the
    network reads (1, 4 or 8), beside biases of the session's items; 0: no layer.
    """
    torch.manual_seed(seed)
    window, k_max = preset(name).encoder.window, min(50, len(item_ids))
    encoders = [build_encoder(member.encoder, len(item_ids)) for member in preset(name).members()]
    margin = MARGINS[0] if scoring == "auto" and len(item_ids) >= INT8_FROM else None
    scratch.mkdir(parents=True, exist_ok=True)
    graph, beside = scratch / MODEL, scratch / SESSIONS
    layer = _layer(len(item_ids), counted, seed)
    serving = ServingModel(encoders, margin=margin, fresh=fresh, after=layer)
    export_onnx(serving, graph, window=window)
    tables = export_sessions(serving, beside, graph, items=len(item_ids))
    write_bundle(
        scratch / "bundle",
        onnx_file=graph,
        sessions_file=beside if tables else None,
        vocabulary=Vocabulary(item_ids),
        popularity=np.ones(len(item_ids), np.int64),
        manifest=Manifest(
            preset=name,
            items=len(item_ids),
            window=window,
            k_max=k_max,
            created_ts=0,
            config={},
            training=TrainingWindow(first_ts=0, last_ts=0, sessions=0, clicks=0),
            valid={},
            baselines={},
            parity={},
            libraries={},
            afterwards={} if layer is None else asdict(layer.config),
            tables=tables.get("tables", ()),
            layered=tables.get("layered", ()),
        ),
    )
    store = Registry(str(registry))
    store.create()
    return store.fetch(store.publish(scratch / "bundle"))


def _layer(items: int, counted: int, seed: int) -> Afterwards | None:
    """A layer of random neighbours, as many as there can be."""
    if not counted:
        return None
    decay = {newest: decay for decay, newest in DECAYS}[counted]
    random, width = np.random.default_rng(seed), min(NEIGHBOURS, items)
    first = random.integers(0, items, (items + 1, 1))
    ids = ((first + 1 + np.arange(width) * (items // width)) % items + 1).astype(np.int32)  # different ones in a row
    weights = np.sort(random.random(ids.shape, dtype=np.float32))[:, ::-1] / width
    ids[0], weights[0] = 0, 0.0
    biases = {"last": BARRED, "seen": -1.0, "again": 1.0, "fade": -0.25}
    config = AfterwardsConfig(**biases, share=0.2, decay=decay, newest=counted)
    return Afterwards(config, items, ids, np.ascontiguousarray(weights))


def with_another_item(path: Path, folder: Path) -> Path:
    """Write the bundle in `path` into `folder`, its last item renamed: a model as fast that shares no vocabulary."""
    bundle = load_bundle(path)
    names = bundle.vocabulary.items
    vocabulary = Vocabulary(chain(islice(names, len(names) - 1), [f"{names[-1]}-renamed"]))
    write_bundle(
        folder,
        onnx_file=bundle.onnx_path,
        vocabulary=vocabulary,
        popularity=bundle.popularity,
        manifest=bundle.manifest,
        tower_file=bundle.tower_path,
        features=bundle.features,
        known_file=bundle.known_path,
        vectors_file=bundle.vectors_path,
        sessions_file=bundle.sessions_path,
        codes_in=None if bundle.codes is None else path,
    )
    return folder
