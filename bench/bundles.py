"""A TRON bundle of random weights: as fast as a trained one, made in seconds for any catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from export.bundle import write_bundle
from export.manifest import Manifest, TrainingWindow
from export.onnx import export_onnx
from export.registry import Registry
from export.vocabulary import Vocabulary
from model.encoders import build_encoder
from model.presets import preset
from model.serving import ServingModel


def publish_random_tron(registry: Path, item_ids: list[str], scratch: Path, seed: int = 0) -> Path:
    """Publish an untrained TRON over `item_ids` and return the bundle's folder in the registry."""
    torch.manual_seed(seed)
    encoder_config = preset("tron").encoder
    k_max = min(50, len(item_ids))
    serving = ServingModel([build_encoder(encoder_config, len(item_ids))], k_max).eval()
    scratch.mkdir(parents=True, exist_ok=True)
    export_onnx(serving, scratch / "graph.onnx", window=encoder_config.window)
    write_bundle(
        scratch / "bundle",
        onnx_file=scratch / "graph.onnx",
        vocabulary=Vocabulary(item_ids),
        popularity=np.ones(len(item_ids), np.int64),
        manifest=Manifest(
            preset="tron",
            items=len(item_ids),
            window=encoder_config.window,
            k_max=k_max,
            created_ts=0,
            config={},
            training=TrainingWindow(first_ts=0, last_ts=0, sessions=0, clicks=0),
            valid={},
            baselines={},
            parity={},
            libraries={},
        ),
    )
    store = Registry(str(registry))
    store.create()
    return store.fetch(store.publish(scratch / "bundle"))
