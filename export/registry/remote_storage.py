"""A registry in a storage that fsspec addresses (object stores and the like)."""

import contextlib
import hashlib
import os
import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import Any

from export.bundle.bundle import MANIFEST, is_whole, stated_sizes
from export.registry.layout import FILES, STAGING, is_number
from export.registry.remote_files import RemoteFiles

__all__ = ["RemoteStorage"]

_MARKER = ".nextclick-registry"  # makes an empty registry exist where storage knows no directories
_CLAIM = ".claim"
_DOWNLOADS = 2  # of a bundle that comes damaged


class RemoteStorage:
    """A place that fsspec addresses (object stores and the like).

    Two publishers keep apart by a claim file made with exclusive creation. A storage that can't create exclusively
    falls back to whoever lists last, so give such a registry one publisher.
    """

    def __init__(self, url: str, filesystem: Any, root: str, cache: Path) -> None:
        """Take an fsspec `filesystem` (untyped there) and the registry's `root` in it."""
        self._url = url.rstrip("/")
        self._files = RemoteFiles(filesystem)
        self._root = root.rstrip("/")
        self._cache = cache / hashlib.sha256(self._url.encode()).hexdigest()[:16]

    def exists(self) -> bool:
        """Return whether the registry has been created. Read, as `has` reads: a storage that is away is no missing
        registry."""
        return self.has(_MARKER)

    def create(self) -> None:
        """Write the marker file, again if it is there: so it is known that the storage takes what is written."""
        self._files.write(self._at(_MARKER), b"nextclick registry\n")

    def has(self, name: str) -> bool:
        """Return whether there is such a file. It is read, as fsspec takes every failure to ask for a no."""
        return self.read(name) is not None

    def numbers(self) -> list[int]:
        """Return the numbers claimed."""
        names = (PurePosixPath(path.rstrip("/")).name for path in self._files.names(self._root))
        return [int(name) for name in names if is_number(name)]

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if there is none."""
        try:
            return self._files.read(self._at(name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in one request, which object stores make visible at once."""
        self._files.write(self._at(name), content)

    def claim(self, number: int, staging: Path, manifest: bytes) -> bool:
        """Take the number, upload the files, and the manifest last."""
        folder = self._at(str(number))
        self._files.make_folder(folder)
        if not self._files.take(f"{folder}/{_CLAIM}", uuid.uuid4().bytes):
            return False
        for name in stated_sizes(manifest):
            self._files.upload(staging / name, f"{folder}/{name}")
        self._files.write(f"{folder}/{MANIFEST}", manifest)
        return True

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return [PurePosixPath(path.rstrip("/")).name for path in self._files.names(self._at(folder))]
        except FileNotFoundError:
            return []

    def remove(self, number: int) -> None:
        """Remove the manifest first, without which it is no version, and the claim last, which keeps the number."""
        folder = self._at(str(number))
        for name in (MANIFEST, *FILES, _CLAIM):
            self._files.remove(f"{folder}/{name}")
        self._files.remove_folder(folder)
        shutil.rmtree(self._cache / str(number), ignore_errors=True)

    def fetch(self, version: str) -> Path:
        """Download the version into the cache, unless it is there and whole, and return its directory.

        A download that is not what the manifest says is made once more; what is wrong in the storage itself is for
        `load_bundle` to say.
        """
        manifest = self.read(f"{version}/{MANIFEST}")
        target = self._cache / version
        if manifest is None:
            raise FileNotFoundError(self._at(version))
        if _same(target / MANIFEST, manifest) and is_whole(target):
            return target
        sizes = stated_sizes(manifest)
        self._cache.mkdir(parents=True, exist_ok=True)
        part = self._cache / f"{STAGING}{uuid.uuid4().hex}"
        part.mkdir()
        try:
            (part / MANIFEST).write_bytes(manifest)
            for _ in range(_DOWNLOADS):
                for name, size in sizes.items():
                    self._files.download(f"{self._at(version)}/{name}", part / name, size)
                if is_whole(part):
                    break
            _put_in_place(part, target, manifest)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target

    def uri(self, version: str) -> str:
        """Return the version's URL."""
        return f"{self._url}/{version}"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Return no lock: promote from one place at a time."""
        return contextlib.nullcontext()

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


def _put_in_place(part: Path, target: Path, manifest: bytes) -> None:
    """Rename a complete download into place; another process may have done the same meanwhile."""
    with contextlib.suppress(OSError):
        os.rename(part, target)
        return
    if not (_same(target / MANIFEST, manifest) and is_whole(target)):
        shutil.rmtree(target, ignore_errors=True)
        os.rename(part, target)


def _same(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
