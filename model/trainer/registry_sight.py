"""Whether the registry that a trainer publishes into is there, before hours are spent on what it could not keep."""

from __future__ import annotations

from collections.abc import Callable

from export.errors import RegistryError, RegistryMissing
from export.registry.away import remedy_for, require_filled
from export.registry.registry import Registry

__all__ = ["RegistrySight"]

_KEY = "registry"
_EMPTIED = (
    "see whether its folder is mounted; where it was emptied on purpose, publish a version into it (nextclick train "
    "--registry), or give the trainer another --store"
)


class RegistrySight:
    """`problem` and `solved` hear of what is wrong, as those of the trainer."""

    def __init__(
        self, registry: Registry, *, problem: Callable[[str, str, str], None], solved: Callable[[str], None]
    ) -> None:
        self._registry, self._problem, self._solved = registry, problem, solved
        self.away = False  # as of the newest look

    def look(self, known: str) -> None:
        """`known`: a version that was published; empty before the first."""
        try:
            self.require(known)
        except RegistryError as error:
            self.away = True
            emptied = isinstance(error, RegistryMissing) and self._is_there()
            what = f"clicks are stored, and no cycle begins: {error}"
            self._problem(_KEY, what, _EMPTIED if emptied else remedy_for(error))
        else:
            self.away = False
            self._solved(_KEY)

    def require(self, known: str) -> None:
        """RegistryMissing where there is none, or an empty one that has held `known`; other errors as of Registry."""
        if known:
            require_filled(self._registry, known)
        elif not self._registry.exists():
            raise RegistryMissing(f"there is no registry at {self._registry.url} any more")

    def _is_there(self) -> bool:
        try:
            return self._registry.exists()
        except RegistryError:
            return False
