"""Which versions a registry keeps: the newest, those that are served or can be gone back to, and those named."""

from collections.abc import Collection

from export.errors import ConfigError
from export.registry.registry import Registry

__all__ = ["BACK", "protected", "prune"]

BACK = 2  # versions of each variant that a rollback can go back to, beside the live one


def protected(registry: Registry) -> set[str]:
    """The versions that are live for some variant, and those before them that a rollback would take."""
    kept: set[str] = set()
    for variant in registry.variants():
        earlier = dict.fromkeys(reversed(registry.history(variant)))  # the newest promotion first
        kept.update(list(earlier)[: BACK + 1])
    return kept


def prune(registry: Registry, *, keep: int, also: Collection[str] = ()) -> list[str]:
    """Remove all versions but the `keep` newest, the protected ones and `also`; what was removed, oldest first.

    The newest stays at all events: without a promotion it is what workers serve, and its number is never given again.
    ConfigError unless at least one is kept.
    """
    if keep < 1:
        raise ConfigError(f"a registry keeps at least its newest version, not {keep}")
    versions = registry.versions()
    stays = protected(registry).union(versions[-keep:], also)
    removed = [version for version in versions if version not in stays]
    for version in removed:
        registry.remove(version)
    return removed
