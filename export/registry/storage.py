"""Where a registry keeps its bundles: a local directory, or any storage that fsspec can address.

Both offer the same few operations; what differs is how a version becomes visible at once:
  - locally a complete directory is renamed into place, which fails if another publisher took the number;
  - elsewhere a claim file made exclusively takes the number, and `manifest.json`, written last, makes it visible.
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol

from export.errors import ConfigError
from export.registry.local_storage import LocalStorage
from export.registry.places import place_of
from export.registry.remote_storage import RemoteStorage

__all__ = ["Storage", "open_storage"]


class Storage(Protocol):
    """What a registry needs of the place it lives in. Every OSError passes through; the registry translates it."""

    def exists(self) -> bool:
        """Return whether there is a registry."""
        ...

    def create(self) -> None:
        """Make an empty registry; one that exists stays as it is, but must be writable."""
        ...

    def has(self, name: str) -> bool:
        """Return whether the registry has a file of this name."""
        ...

    def numbers(self) -> list[int]:
        """Return every version number taken, visible or not, in no order."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file of the registry, None if there is none."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write a file so that readers see the old content or the new."""
        ...

    def claim(self, number: int, staging: Path, manifest: bytes) -> bool:
        """Publish the bundle in `staging` with this manifest as version `number`; False if the number is taken."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder of the registry, in no order; none where there is no such folder."""
        ...

    def remove(self, number: int) -> None:
        """Remove a version, in such an order that what is left of it is never taken for one."""
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
    place = place_of(url, "registry")
    if isinstance(place, Path):
        return LocalStorage(place)
    return RemoteStorage(url, place.filesystem, place.root, cache or _user_cache())


def _user_cache() -> Path:
    """Return the folder for downloads, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nextclick" / "bundles"
