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
from typing import IO, Any, BinaryIO, cast

import torch

from model.errors import CheckpointError

__all__ = ["digest", "exists", "load", "make_folder", "prune", "save"]

FILE = "checkpoint.pt"
MAGIC = b"nextclick-checkpoint-1\n"
_DIGEST = 64  # characters of a SHA-256 in hex
_HEADER = len(MAGIC) + _DIGEST + 1


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
    partial = directory / f"{FILE}.{os.getpid()}.partial"
    payload = _Payload()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(MAGIC + b" " * _DIGEST + b"\n")
            payload.file = file
            torch.save(state, cast(IO[bytes], payload))
            file.seek(len(MAGIC))
            file.write(payload.sha256.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(directory / FILE)
    except (OSError, RuntimeError) as error:  # torch may put one of its own in the place of a write's
        if (cause := payload.error or (error if isinstance(error, OSError) else None)) is None:
            raise
        raise CheckpointError(f"cannot write a checkpoint into {directory}: {cause}") from cause
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def load(directory: Path) -> dict[str, Any]:
    """Return the state saved last. Raises CheckpointError if it is missing, truncated or altered."""
    path = directory / FILE
    stated = digest(directory)
    try:
        with path.open("rb") as file:
            file.seek(_HEADER)
            if hashlib.file_digest(file, "sha256").hexdigest() != stated:
                raise CheckpointError(f"{path} is truncated or altered: remove it and train again")
            state = torch.load(io.BufferedReader(_Behind(file, _HEADER)), map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
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
    path = directory / FILE
    try:
        with path.open("rb") as file:
            magic, stated = file.read(len(MAGIC)), file.read(_DIGEST + 1)
    except OSError as error:
        raise CheckpointError(f"no checkpoint can be read at {path}: {error}") from error
    if magic != MAGIC or len(stated) != _DIGEST + 1 or not stated.endswith(b"\n"):
        raise CheckpointError(f"{path} is no checkpoint of this format")
    return stated[:_DIGEST].decode("ascii", "replace")


class _Payload:
    """Where torch writes to: the file, hashed on its way, as a copy in memory would be as large as all weights."""

    file: BinaryIO

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, part: bytes) -> int:
        self.sha256.update(part)
        try:
            return self.file.write(part)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Left to the end."""


class _Behind(io.RawIOBase):
    """What lies behind the header of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.file, self.start = file, start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        part = self.file.read(len(view))
        view[: len(part)] = part
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset + (self.start if whence == os.SEEK_SET else 0), whence) - self.start

    def tell(self) -> int:
        return self.file.tell() - self.start
