"""Checkpoints: one file a training, replaced atomically, verified by its SHA-256 before anything of it is used.

Layout: `nextclick-checkpoint-1`, the payload's SHA-256 in hex, a line each; then the payload, a zip of tensors and
plain values as `torch.save` writes it, read back with `weights_only=True`, which runs no code.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any

import torch

from model.errors import CheckpointError

__all__ = ["digest", "exists", "load", "make_folder", "prune", "save"]

FILE = "checkpoint.pt"
MAGIC = b"nextclick-checkpoint-1\n"
_DIGEST = 64  # characters of a SHA-256 in hex


def exists(directory: Path) -> bool:
    """Return whether there is a checkpoint in `directory`."""
    return (directory / FILE).is_file()


def make_folder(directory: Path) -> None:
    """Make the folder of a checkpoint; CheckpointError where nothing could be written into it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write a checkpoint into {directory}: {error}") from error
    if not os.access(directory, os.W_OK):
        raise CheckpointError(f"cannot write a checkpoint into {directory}: it is not writable")


def save(directory: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of `directory` with `state`: a kill at any time leaves the old one or the new one."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    partial = directory / f"{FILE}.{os.getpid()}.partial"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n")
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(directory / FILE)
    except OSError as error:
        raise CheckpointError(f"cannot write a checkpoint into {directory}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def load(directory: Path) -> dict[str, Any]:
    """Return the state saved last. Raises CheckpointError if it is missing, truncated or altered."""
    path = directory / FILE
    digest, payload = _read(path)
    if hashlib.sha256(payload).hexdigest() != digest:
        raise CheckpointError(f"{path} is truncated or altered: remove it and train again")
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no training state")
    return state


def prune(root: Path, *, keep: int, idle_s: float) -> None:
    """Remove the checkpoints below `root` but the `keep` newest and those written in the last `idle_s` seconds.

    Metrics and plots beside them stay. What can't be removed stays too: it is no fault of the training that asks.
    """
    with contextlib.suppress(OSError):
        found = sorted(((path.stat().st_mtime, path) for path in root.rglob(f"{FILE}*")), reverse=True)
        for written, path in found[keep:]:
            if time.time() - written > idle_s:
                path.unlink(missing_ok=True)


def digest(directory: Path) -> str:
    """Return the SHA-256 that the checkpoint states of itself, without reading the rest of it."""
    return _read(directory / FILE, header_only=True)[0]


def _read(path: Path, *, header_only: bool = False) -> tuple[str, bytes]:
    try:
        with path.open("rb") as file:
            magic, stated = file.read(len(MAGIC)), file.read(_DIGEST + 1)
            payload = b"" if header_only else file.read()
    except OSError as error:
        raise CheckpointError(f"no checkpoint can be read at {path}: {error}") from error
    if magic != MAGIC or len(stated) != _DIGEST + 1:
        raise CheckpointError(f"{path} is no checkpoint of this format")
    return stated[:_DIGEST].decode("ascii", "replace"), payload
