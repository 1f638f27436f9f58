"""Where a registry keeps its bundles: a local directory, or any storage that fsspec can address.

Both offer the same few operations; what differs is how a version becomes visible at once:
  - locally a complete directory is renamed into place, which fails if another publisher took the number;
  - elsewhere a claim file made exclusively takes the number, and `manifest.json`, written last, makes it visible.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fsspec
from fsspec.core import url_to_fs

from export.bundle.bundle import ITEMS, MANIFEST, MODEL, POPULARITY, is_whole, replace_file
from export.errors import ConfigError, RegistryError

__all__ = ["LocalStorage", "RemoteStorage", "Storage", "open_storage"]

_FILES = (MODEL, ITEMS, POPULARITY)  # beside the manifest
_MARKER = ".nextclick-registry"  # makes an empty registry exist where storage knows no directories
_CLAIM = ".claim"
_STAGING = ".staging-"
_DOWNLOADS = 2  # of a bundle that comes damaged
_STALE_S = 86_400  # a staging directory this old was left by a publisher that died


class Storage(Protocol):
    """What a registry needs of the place it lives in. Every OSError passes through; the registry translates it."""

    def exists(self) -> bool:
        """Return whether there is a registry."""
        ...

    def create(self) -> None:
        """Make an empty registry; nothing happens if there is one."""
        ...

    def numbers(self) -> list[int]:
        """Return every version number taken, visible or not, in no order."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the content of a file of the registry, None if there is none."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write a file so that readers see the old content or the new."""
        ...

    def claim(self, number: int, staging: Path, manifest: bytes) -> bool:
        """Publish the bundle in `staging` with this manifest as version `number`; False if the number is taken."""
        ...

    def fetch(self, version: str) -> Path:
        """Return a local directory that holds the version."""
        ...

    def uri(self, version: str) -> str:
        """Return where the version is, for people and announcements."""
        ...

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Return the lock held while a small file is read, changed and replaced."""
        ...


def open_storage(url: str, cache: Path | None) -> Storage:
    """Return the storage behind a path or an fsspec URL; `cache` holds what is downloaded from elsewhere.

    ConfigError for an unknown protocol; RegistryError when its client library isn't installed.
    """
    if not url:
        raise ConfigError("the registry's address is empty")
    if "://" not in url:
        return LocalStorage(Path(url))
    try:
        filesystem, root = url_to_fs(url)
    except ValueError as error:
        raise ConfigError(f"registry {url}: {error}") from error
    except ImportError as error:
        raise RegistryError(f"registry {url}: {error}") from error
    if isinstance(filesystem, fsspec.get_filesystem_class("file")):
        return LocalStorage(Path(root))
    return RemoteStorage(url, filesystem, root, cache or _user_cache())


def _user_cache() -> Path:
    """Return the folder for downloads, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nextclick" / "bundles"


class LocalStorage:
    """A directory on a local or shared file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def exists(self) -> bool:
        """Return whether the directory exists."""
        return self._root.is_dir()

    def create(self) -> None:
        """Make the directory and its parents."""
        self._root.mkdir(parents=True, exist_ok=True)

    def numbers(self) -> list[int]:
        """Return the numbers of the version directories."""
        return [int(path.name) for path in self._root.iterdir() if _is_number(path.name) and path.is_dir()]

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if there is none."""
        try:
            return (self._root / name).read_bytes()
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
        hidden = self._root / f"{_STAGING}{uuid.uuid4().hex}"
        hidden.mkdir()
        try:
            for name in _FILES:
                shutil.copyfile(staging / name, hidden / name)
            (hidden / MANIFEST).write_bytes(manifest)
            for name in (*_FILES, MANIFEST):
                _sync(hidden / name)
            _sync(hidden)
            return self._rename(hidden, self._root / str(number))
        finally:
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
        for path in self._root.glob(f"{_STAGING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    shutil.rmtree(path, ignore_errors=True)


class RemoteStorage:
    """A place that fsspec addresses (object stores and the like).

    Two publishers keep apart by a claim file made with exclusive creation. A storage that can't create exclusively
    falls back to whoever lists last, so give such a registry one publisher.
    """

    def __init__(self, url: str, filesystem: Any, root: str, cache: Path) -> None:
        """Take an fsspec `filesystem` (untyped there) and the registry's `root` in it."""
        self._url = url.rstrip("/")
        self._fs = filesystem
        self._root = root.rstrip("/")
        self._cache = cache / hashlib.sha256(self._url.encode()).hexdigest()[:16]

    def exists(self) -> bool:
        """Return whether the registry has been created."""
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._at(_MARKER)))

    def create(self) -> None:
        """Write the marker file."""
        if not self.exists():
            self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(self._at(_MARKER), b"nextclick registry\n")

    def numbers(self) -> list[int]:
        """Return the numbers claimed."""
        self._fs.invalidate_cache()
        names = (PurePosixPath(str(path).rstrip("/")).name for path in self._fs.ls(self._root, detail=False))
        return [int(name) for name in names if _is_number(name)]

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if there is none."""
        try:
            return bytes(self._fs.cat_file(self._at(name)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in one request, which object stores make visible at once."""
        target = self._at(name)
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self._fs.pipe_file(target, content)

    def claim(self, number: int, staging: Path, manifest: bytes) -> bool:
        """Take the number, upload the files, and the manifest last."""
        folder = self._at(str(number))
        self._fs.makedirs(folder, exist_ok=True)
        if not self._take(f"{folder}/{_CLAIM}"):
            return False
        for name in _FILES:
            self._fs.put_file(str(staging / name), f"{folder}/{name}")
        self._fs.pipe_file(f"{folder}/{MANIFEST}", manifest)
        return True

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
        self._cache.mkdir(parents=True, exist_ok=True)
        part = self._cache / f"{_STAGING}{uuid.uuid4().hex}"
        part.mkdir()
        try:
            (part / MANIFEST).write_bytes(manifest)
            for _ in range(_DOWNLOADS):
                for name in _FILES:
                    self._fs.get_file(f"{self._at(version)}/{name}", str(part / name))
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

    def _take(self, path: str) -> bool:
        try:
            self._fs.pipe_file(path, uuid.uuid4().bytes, mode="create")
        except FileExistsError:
            return False
        return True


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


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0") and len(name) <= 18


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
