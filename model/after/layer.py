"""The layer of a training: found on its held-out sessions, made of its log, told and recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from export.afterwards import config_of
from export.graph.after import Afterwards
from model.after.config import AfterConfig
from model.after.fit import fit
from model.after.held_out import held_out
from model.after.pairs import every_neighbour, table_bytes
from model.after.record import described, leading, recorded
from model.config import Preset
from model.data.log import SessionLog
from model.nets.encoder import Encoder
from model.nets.serving import ServingModel
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["LEAST", "find_layer", "make_layer"]

LEAST = 500  # predictions; of fewer, a gain of .002 says little
STAGE = "afterwards"


def find_layer(
    encoders: Sequence[Encoder],
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    on_progress: OnProgress = ignore,
    *,
    before: Mapping[str, Any] | None = None,
    goes_on: bool = False,
) -> dict[str, Any]:
    """Return what a manifest records of the layer that the network of these encoders gets; {} where none is asked for.

    log: what was learned; valid: sessions that were not, in the same vocabulary. before: the layer of the version that
    this one goes on from: kept where too few sessions were held out to tell, as in a fresh training of few clicks.
    goes_on: a refit follows that learns for longer, and needs less of the counts.
    """
    config, began = preset.after, time.monotonic()
    if config.counts == "off":
        return {}
    if why := _unfit(preset):
        return _left_out(why, on_progress)
    held = held_out(ServingModel(encoders), log, valid)
    too_large = _too_large(len(log.vocabulary), config)
    if held is None or held.predictions < LEAST:
        why = f"{0 if held is None else held.predictions:,} held-out predictions; {LEAST:,} are asked"
        return _left_out(why, on_progress) if not before or too_large else _kept(before, why, on_progress)
    found = fit(held, config, counted=not too_large, lightest=goes_on)
    took = f"{time.monotonic() - began:.1f} s"
    on_progress(Progress(stage=STAGE, message=f"{described(recorded(found))}; {took}"))
    if told := leading(recorded(found)):
        on_progress(Progress(stage=STAGE, message=told))
    if too_large:
        on_progress(Progress(stage=STAGE, message=f"warning: without counts: {too_large}"))
    return recorded(found) | ({"without_counts": too_large} if too_large else {})


def make_layer(record: Mapping[str, Any], log: SessionLog) -> Afterwards | None:
    """Return the layer that `find_layer` recorded, its counts those of `log`; None where there is none."""
    config = config_of(record)
    if not config.counts:
        return Afterwards(config, len(log.vocabulary)) if config.biased else None
    table = every_neighbour(log, config.backward)
    return Afterwards(config, len(log.vocabulary), table.ids, table.weights)


def _unfit(preset: Preset) -> str:
    """Return why a network can't have a layer; empty where it can."""
    if preset.codes is not None:
        return "its items are codes, which are scored outside the graph"
    if preset.encoder.interests:
        return "its sessions are several vectors"
    return "it learns from more than clicks, which counts do not tell apart" if preset.feedback else ""


def _too_large(items: int, config: AfterConfig) -> str:
    megabytes = table_bytes(items) / 2**20
    if megabytes <= config.most_mb:
        return ""
    return f"their table would take {megabytes:,.0f} MiB; at most {config.most_mb} are allowed (--set most_mb)"


def _kept(before: Mapping[str, Any], why: str, on_progress: OnProgress) -> dict[str, Any]:
    on_progress(Progress(stage=STAGE, message=f"{why}: as before, {described(before)}"))
    return dict(before)


def _left_out(why: str, on_progress: OnProgress) -> dict[str, Any]:
    on_progress(Progress(stage=STAGE, message=f"the network alone: {why}"))
    return {"left_out": why}
