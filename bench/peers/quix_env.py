"""A virtual environment for Quix Streams, whose pins differ from ours; made at first use, in the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

_QUIX = "quixstreams==3.28.1"
_SHARED = ("onnxruntime", "msgspec", "numpy", "fsspec")  # what the ranker needs, in our own versions


def quix_python(cache: Path | None = None) -> Path:
    """The environment's interpreter. CalledProcessError where it cannot be made, for want of a package index."""
    folder = (cache or user_cache()) / "nextclick" / f"bench-{_QUIX}-py{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making an environment for Quix Streams in {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pins = [_QUIX, *(f"{name}=={version(name)}" for name in _SHARED)]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return python


def user_cache() -> Path:
    """Where programs keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
