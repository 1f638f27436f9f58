"""What a manifest says of where a version comes from, and how a cycle finds the version it has published."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export.errors import NextclickError
from export.registry.registry import Registry

__all__ = ["code_version", "commit", "layer_of", "published_by"]

_ROOT = Path(__file__).parents[2]
_NEWEST = 50  # versions looked through for a cycle: it published after its begin, or not at all


def code_version() -> str:
    """The installed version of nextclick; empty where it is not installed."""
    try:
        return version("nextclick")
    except PackageNotFoundError:
        return ""


def commit() -> str:
    """The commit of the checkout this code lies in, with a + where files were changed; empty where it is none."""
    if not (_ROOT / ".git").exists():
        return ""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def published_by(registry: Registry, cycle: str) -> str | None:
    """The version that a cycle has published; None where it has not. RegistryError where storage fails."""
    for number in reversed(registry.versions()[-_NEWEST:]):
        try:
            lineage = registry.manifest(number).lineage
        except NextclickError:  # damaged, or of a later release: not this cycle's
            continue
        if lineage is not None and lineage.cycle == cycle:
            return number
    return None


def layer_of(registry: Registry, number: str) -> dict[str, Any]:
    """The layer behind a version's network as its manifest records it; {} where that can't be read, or `number` is
    empty."""
    try:
        return dict(registry.manifest(number).afterwards) if number else {}
    except NextclickError:  # removed since, damaged, or of a later release: the layer is found anew, or left out
        return {}


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
