"""Which bundle an address is of: a folder, or a version in a registry."""

from pathlib import Path

from export.bundle.bundle import MANIFEST
from export.errors import ConfigError
from export.registry.layout import is_number
from export.registry.places import refuse_half_a_url
from export.registry.registry import Registry

__all__ = ["local_bundle"]


def local_bundle(address: str | Path) -> Path:
    """Return the folder of a bundle; `address` is that, or the URL of a version in a registry, which is fetched.

    Raises RegistryError where it can't be fetched, ConfigError where it is a registry. Nothing is verified here.
    """
    text = str(address)
    if "://" not in text:
        refuse_half_a_url(text)
        if not (Path(text) / MANIFEST).exists():
            _refuse_a_registry(text)
        return Path(text)
    url, _, version = text.rstrip("/").rpartition("/")
    if not is_number(version):
        _refuse_a_registry(text)
    return Registry(url).fetch(version)


def _refuse_a_registry(address: str) -> None:
    """ConfigError where `address` is a registry, and a version of it is wanted."""
    registry = Registry(address)
    if not registry.exists() or not (versions := registry.versions()):
        return
    version = registry.live() or versions[-1]
    which = "live" if version == registry.live() else "the newest"
    name = f"{address.rstrip('/')}/{version}"
    raise ConfigError(
        f"{address} is a registry of {len(versions)} versions: name one of them, such as {name} ({which})"
    )
