"""Where an address points to: a local folder, or one in any storage that fsspec can address."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
from fsspec.core import url_to_fs

from export.errors import ConfigError, RegistryError

__all__ = ["Remote", "place_of", "refuse_half_a_url"]

_HALF_A_URL = re.compile(r"([a-z][a-z0-9+.-]+):/?(?!/)(.*)", re.DOTALL)  # s3:/shop, as is left of s3://shop as a path


class Remote(NamedTuple):
    """A folder elsewhere."""

    filesystem: Any  # fsspec's
    root: str  # the folder, as that file system names it


def place_of(url: str, what: str) -> Path | Remote:
    """Return the folder of a path or an fsspec URL; `what` names it in errors.

    ConfigError for an unknown protocol, or half a URL; RegistryError when its client library isn't installed.
    """
    if "://" not in url:
        refuse_half_a_url(url)
        return Path(url)
    try:
        filesystem, root = url_to_fs(url)
    except ValueError as error:
        raise ConfigError(f"{what} {url}: {error}") from error
    except ImportError as error:
        raise RegistryError(f"{what} {url}: {error}") from error
    local = isinstance(filesystem, fsspec.get_filesystem_class("file"))
    return Path(root) if local else Remote(filesystem, root)


def refuse_half_a_url(path: str) -> None:
    """Raise ConfigError for a path that is meant as a URL: as a path it would make a folder of that name."""
    found = _HALF_A_URL.fullmatch(path)
    if found and found[1] in fsspec.available_protocols():
        protocol, rest = found.groups()
        root = "/" if protocol in ("file", "local") else ""  # whose paths begin with one
        raise ConfigError(f"{path} is no URL: write {protocol}://{root}{rest}, or ./{path} for a folder of that name")
