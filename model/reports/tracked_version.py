"""What MLflow is told of a version, or of a candidate that did not become one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from export.bundle.manifest import Manifest
from export.errors import NextclickError
from export.registry.registry import Registry
from model.reports.progress import Progress
from model.reports.tracking import REMEDY, Tracked, Tracker

__all__ = ["UPLOADED", "flat", "key_of", "of_gate", "of_manifest", "say_lost", "track_version"]

UPLOADED = 64 << 20  # bytes of a bundle; of a larger one its address and manifest are kept
_LINEAGE = ("code", "commit", "cycle", "mode", "parent", "live")


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """Nested options under names with points: train.lr."""
    found: dict[str, object] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def key_of(*parts: object) -> str:
    """The name of a run that may be gone on with after a kill."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def of_gate(gate: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Figures and tags of a judgement."""
    figures = {"gate/passed": float(bool(gate.get("passed")))} if gate else {}
    for name in ("candidate", "live"):
        figures |= {f"{name}/{metric}": value for metric, value in (gate.get(name) or {}).items()}
    return figures | _baselines(gate.get("baselines") or {}), {"nextclick.gate": "; ".join(gate.get("reasons", ()))}


def of_manifest(manifest: Manifest) -> tuple[dict[str, float], dict[str, str]]:
    """Figures and tags of a version."""
    training, lineage = manifest.training, manifest.lineage
    figures = {f"final/{metric}": value for metric, value in manifest.valid.items()} | _baselines(manifest.baselines)
    figures |= {"sessions": float(training.sessions), "clicks": float(training.clicks), "items": float(manifest.items)}
    tags = {"nextclick.preset": manifest.preset}
    tags |= {f"nextclick.window.{name}": str(getattr(training, name)) for name in ("first_ts", "last_ts")}
    if lineage is not None:
        tags |= {f"nextclick.{name}": getattr(lineage, name) for name in _LINEAGE}
        tags |= {f"nextclick.window.{name}": str(value) for name, value in lineage.window.items()}
        if lineage.refit is not None:
            tags["nextclick.refit"] = lineage.refit.how if lineage.refit.refitted else f"no: {lineage.refit.why}"
        judged, said = of_gate(lineage.gate)
        figures, tags = judged | figures, tags | said
    return figures, tags


def track_version(tracker: Tracker, registry: Registry, version: str) -> Tracked:
    """Tell of a version that was published, and end its run."""
    try:
        manifest, uri, folder = registry.manifest(version), registry.uri(version), registry.fetch(version)
        large = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) > UPLOADED
    except (NextclickError, OSError) as error:  # it is published all the same
        ended = tracker.finish()
        return Tracked(lost=ended.lost + 1, error=ended.error or f"version {version} can't be read again: {error}")
    figures, tags = of_manifest(manifest)
    tracker.about({}, {**tags, "nextclick.version": version, "nextclick.bundle": uri})
    tracker.points(figures)
    return tracker.finish(bundle=folder / "manifest.json" if large else folder)


def say_lost(tracked: Tracked) -> Progress | None:
    """What people hear of it; None where all is kept."""
    if not tracked.error:
        return None
    return Progress(stage="publish", message=f"warning: {tracked.error}; {tracked.lost} records are lost: {REMEDY}")


def _baselines(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"baseline/{name}/{metric}": value for name, of in figures.items() for metric, value in of.items()}
