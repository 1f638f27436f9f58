"""A registry in a directory."""

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from export.bundle.bundle import MANIFEST, MAX_MANIFEST, stated_sizes
from export.bundle.files import read_small, replace_file
from export.registry.layout import STAGING, is_number

__all__ = ["LocalStorage"]

_STALE_S = 86_400  # a staging directory this old was left by a publisher that died


class LocalStorage:
    """A directory on a local or shared file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def exists(self) -> bool:
        """Return whether the directory exists."""
        return self._root.is_dir()

    def create(self) -> None:
        """Make the directory and its parents, and a folder in it for a moment, to know that it can be written."""
        self._root.mkdir(parents=True, exist_ok=True)
        probe = self._root / f"{STAGING}{uuid.uuid4().hex}"
        probe.mkdir()
        probe.rmdir()

    def has(self, name: str) -> bool:
        """Return whether there is such a file, of whatever kind it is."""
        return (self._root / name).exists()

    def numbers(self) -> list[int]:
        """Return the numbers of the version directories."""
        return [int(path.name) for path in self._root.iterdir() if is_number(path.name) and path.is_dir()]

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if there is none."""
        try:
            return read_small(self._root / name, MAX_MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Replace a file by renaming a complete one over it."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)
        _sync(target.parent)

    def claim(self, number: int, staging: Path, manifest: bytes) -> bool:
        """Copy the bundle beside the versions, make it durable, rename it into place."""
        self._sweep()
        hidden = self._root / f"{STAGING}{uuid.uuid4().hex}"
        hidden.mkdir()
        try:
            names = tuple(stated_sizes(manifest))
            for name in names:
                shutil.copyfile(staging / name, hidden / name)
            (hidden / MANIFEST).write_bytes(manifest)
            for name in (*names, MANIFEST):
                _sync(hidden / name)
            _sync(hidden)
            return self._rename(hidden, self._root / str(number))
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return [path.name for path in (self._root / folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, number: int) -> None:
        """Rename the directory to what is swept anyway, then remove it."""
        hidden = self._root / f"{STAGING}{uuid.uuid4().hex}"
        os.rename(self._root / str(number), hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def fetch(self, version: str) -> Path:
        """Return the version's own directory."""
        return self._root / version

    def uri(self, version: str) -> str:
        """Return the version's path."""
        return str(self._root / version)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold an advisory file lock, which the system frees when the process dies."""
        with open(self._root / ".lock", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _rename(self, hidden: Path, target: Path) -> bool:
        try:
            os.rename(hidden, target)  # fails on a directory that isn't empty: a version is never replaced
        except OSError:
            if target.exists():
                return False
            raise
        _sync(self._root)
        return True

    def _sweep(self) -> None:
        for path in self._root.glob(f"{STAGING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
