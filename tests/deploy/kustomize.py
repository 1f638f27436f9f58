"""What kustomize builds of deploy/kubernetes, and the schemas of what is not Kubernetes' own."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

__all__ = ["KUBERNETES", "MODULES", "OVERLAYS", "build", "custom_schema"]

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ("small", "full")
# The modules of Go that hold the schemas, by API group, and where
MODULES = {
    "keda.sh": ("github.com/kedacore/keda/v2@v2.20.2", "config/crd/bases/keda.sh_{}.yaml"),
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
    ),
}
_BUILD_S = 60
_FETCH_S = 120


def build(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` of this folder sends; skips the test where neither kubectl nor kustomize is there."""
    return _parse(_built(folder))


@cache
def _built(folder: Path) -> str:
    kubectl, kustomize = shutil.which("kubectl"), shutil.which("kustomize")
    if kustomize is None and kubectl is None:
        pytest.skip("neither kustomize nor kubectl is there: go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1")
    words = [kustomize, "build"] if kustomize else [str(kubectl), "kustomize"]
    done = subprocess.run([*words, str(folder)], capture_output=True, text=True, timeout=_BUILD_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return done.stdout


def custom_schema(api_version: str, kind: str) -> dict[str, Any]:
    """The schema of a kind that an operator brings; skips the test where Go is missing or can't fetch it."""
    group, _, version = api_version.partition("/")
    module, place = MODULES[group]
    definition = _parse((_module(module) / place.format(f"{kind.lower()}s")).read_text())[0]
    versions = {one["name"]: one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"]}
    return dict(_closed(versions[version]))


def _parse(text: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@cache
def _module(name: str) -> Path:
    if (go := shutil.which("go")) is None:
        pytest.skip(f"Go, which fetches {name} with its schemas, is not there (Debian: apt-get install golang-go)")
    fetch = [go, "mod", "download", "-json", name]
    done = subprocess.run(fetch, cwd="/", capture_output=True, text=True, timeout=_FETCH_S, check=False)
    if done.returncode:
        pytest.skip(f"{name} can't be fetched: {done.stdout[-300:]} {done.stderr[-300:]}")
    return Path(json.loads(done.stdout)["Dir"])


def _closed(schema: Any) -> Any:
    """The same with unknown fields refused, as the API server would drop them without a word, and without patterns that
    are Go's alone."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items() if "(?i)" not in str(value) or key != "pattern"}
    open_ended = {"additionalProperties", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object" and not open_ended & set(found):
        found["additionalProperties"] = False
    return found
