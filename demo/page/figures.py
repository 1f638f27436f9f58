"""What the parts say of themselves: /health, /metrics and versions."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from export.errors import NextclickError
from export.registry.registry import Registry

__all__ = ["StageMeans", "Sums", "ask_health", "ask_metrics", "versions_of"]

_ANSWER_S = 1.5
_LATENCY = "nextclick_latency_seconds"

Sums = dict[str, tuple[float, float]]


def ask_health(port: int) -> dict[str, Any] | None:
    """/health of a service of this machine; None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=_ANSWER_S) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:  # not ready: it says so in the same words
        with error:
            return dict(json.load(error))
    except (OSError, ValueError):
        return None


def ask_metrics(port: int) -> Sums:
    """Sum (seconds) and count of each stage of a worker's latency; empty where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_ANSWER_S) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    family = next((one for one in text_string_to_metric_families(text) if one.name == _LATENCY), None)
    found = {"_sum": {}, "_count": {}} if family is None else _by_stage(family.samples)
    return {stage: (found["_sum"][stage], found["_count"].get(stage, 0.0)) for stage in found["_sum"]}


class StageMeans:
    """The mean of each stage between two looks, over all workers, in ms."""

    def __init__(self) -> None:
        self._last: dict[int, Sums] = {}

    def look(self, sums: Mapping[int, Sums]) -> dict[str, float]:
        """`sums` by process; of one that was not there before all of it counts."""
        total: Sums = {}
        for pid, stages in sums.items():
            before = self._last.get(pid, {})
            for stage, (seconds, count) in stages.items():
                old, at = before.get(stage, (0.0, 0.0)), total.get(stage, (0.0, 0.0))
                total[stage] = (at[0] + seconds - old[0], at[1] + count - old[1])
        self._last = dict(sums)
        return {stage: round(seconds / count * 1000, 2) for stage, (seconds, count) in total.items() if count > 0}


def versions_of(registry: Path) -> dict[str, Any]:
    """The versions of a registry, newest first, and which is live."""
    store = Registry(registry)
    if not store.exists():
        return {"live": None, "versions": [], "back": False}
    try:
        versions = [_version(store, version) for version in reversed(store.versions())]
        return {"live": store.live(), "versions": versions, "back": len(store.history()) > 1}
    except NextclickError as error:
        return {"live": None, "versions": [], "back": False, "error": str(error)}


def _by_stage(samples: Any) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {"_sum": {}, "_count": {}}
    for sample in samples:
        end = sample.name.removeprefix(_LATENCY)
        if end in found:
            found[end][sample.labels["stage"]] = sample.value
    return found


def _version(store: Registry, version: str) -> dict[str, Any]:
    try:
        manifest = store.manifest(version)
    except NextclickError as error:
        return {"version": version, "error": str(error)}
    mode = "" if manifest.lineage is None else manifest.lineage.mode
    return {
        "version": version,
        "recall": round(manifest.valid.get("recall@20", 0.0), 4),
        "created_ts": manifest.created_ts,
        "mode": mode,
        "clicks": manifest.training.clicks,
    }
