"""The models that one worker has loaded, each once, whoever needs it: what is live, and the variants of experiments."""

import time
from collections.abc import Collection

from export.ranking.ranker import Ranker
from stream.models.loading import Loader, Wanted
from stream.ops.heap import give_back_memory

__all__ = ["ModelPool"]

_LET_GO_S = 1.0  # a batch that is being ranked by a model keeps it until it is done


class ModelPool:
    """For the thread of the follower. A model that nobody needs any more is freed, at the next change of who does."""

    def __init__(self, load: Loader, most: int) -> None:
        """`most`: so many versions at a time. What is live is loaded in any case."""
        self._load, self._most = load, most
        self._loaded: dict[str, Ranker] = {}
        self._live: str | None = None
        self._wanted: frozenset[str] = frozenset()
        self._freed_at: float | None = None  # since then their memory is to be given back

    @property
    def versions(self) -> list[str]:
        """Those that are loaded."""
        return list(self._loaded)

    @property
    def live(self) -> Ranker | None:
        """What is live; None before anything is."""
        return None if self._live is None else self._loaded.get(self._live)

    def take(self, wanted: Wanted) -> Ranker:
        """The ranker of a version, loaded if it must be; raises what loading raises."""
        found = self._loaded.get(wanted.version)
        if found is None or wanted.sha256 not in ("", found.bundle.manifest_sha256):
            found = self._loaded[wanted.version] = self._load(wanted)
        return found

    def has_room(self, version: str) -> bool:
        """Whether a version may be loaded beside the others, or is."""
        return version in self._loaded or len(self._loaded) < self._most

    def live_is(self, version: str) -> None:
        """This one is live from now on; it was taken before."""
        self._live = version
        self._free()

    def variants_want(self, versions: Collection[str]) -> None:
        """These are what the variants of experiments are to be ranked by."""
        self._wanted = frozenset(versions)
        self._free()

    def _free(self) -> None:
        freed = self._loaded.keys() - self._wanted - {self._live}
        for version in freed:
            del self._loaded[version]
        if freed:
            self._freed_at = time.monotonic()

    def tidy(self) -> None:
        """Give the memory of models that were freed back to the system, once who ranked by them has let them go too."""
        if self._freed_at is not None and time.monotonic() - self._freed_at > _LET_GO_S:
            self._freed_at = None
            give_back_memory()
