"""Where the trainer keeps clicks and its journal: a local directory, or any storage that fsspec addresses."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path, PurePosixPath
from typing import Protocol

from export.registry.places import place_of
from export.registry.remote_files import RemoteFiles

__all__ = ["Files", "LocalFiles", "StoredFiles", "open_files"]

_PARTIAL = ".partial-"


class Files(Protocol):
    """One folder of files. Every OSError passes through."""

    def names(self) -> list[str]:
        """The names of the files, in no order; what is not complete is none of them."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError."""
        ...

    def take(self, name: str, content: bytes) -> bool:
        """Make a file, complete and durable at once; False where there is one of that name."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write a file so that readers see the old content or the new."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is removed."""
        ...

    def place(self, name: str, target: Path) -> None:
        """Have the file at a local path as well, to be read only."""
        ...


def open_files(url: str) -> Files:
    """The folder at a path or an fsspec URL, made if there is none; ConfigError, RegistryError and OSError."""
    place = place_of(url, "store")
    if isinstance(place, Path):
        return LocalFiles(place)
    return StoredFiles(RemoteFiles(place.filesystem), place.root.rstrip("/"))


class LocalFiles:
    """A local directory."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PARTIAL}*"):  # of a trainer that was killed; one that lives tries again
            left.unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [path.name for path in self._root.iterdir() if path.is_file() and not path.name.startswith(_PARTIAL)]

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def take(self, name: str, content: bytes) -> bool:
        """A hard link fails where the name is taken, as a rename would not."""
        partial = self._written(content)
        try:
            os.link(partial, self._root / name)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        self._sync()
        return True

    def replace(self, name: str, content: bytes) -> None:
        self._written(content).replace(self._root / name)
        self._sync()

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def place(self, name: str, target: Path) -> None:
        with contextlib.suppress(OSError):  # another file system
            os.link(self._root / name, target)
            return
        target.write_bytes(self.read(name))

    def _written(self, content: bytes) -> Path:
        partial = self._root / f"{_PARTIAL}{uuid.uuid4().hex}"
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return partial

    def _sync(self) -> None:
        handle = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class StoredFiles:
    """A folder of a storage that fsspec addresses. One that can't create exclusively wants one trainer."""

    def __init__(self, files: RemoteFiles, root: str) -> None:
        self._files, self._root = files, root
        self._files.make_folder(root)

    def names(self) -> list[str]:
        try:
            return [PurePosixPath(path.rstrip("/")).name for path in self._files.names(self._root)]
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        return self._files.read(f"{self._root}/{name}")

    def take(self, name: str, content: bytes) -> bool:
        return self._files.take(f"{self._root}/{name}", content)

    def replace(self, name: str, content: bytes) -> None:
        self._files.write(f"{self._root}/{name}", content)

    def remove(self, name: str) -> None:
        self._files.remove(f"{self._root}/{name}")

    def place(self, name: str, target: Path) -> None:
        target.write_bytes(self.read(name))
