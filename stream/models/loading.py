"""From a version that is wanted to what answers clicks: its ranker, or, where that can't be had, its popular items."""

from collections.abc import Callable
from typing import NamedTuple

from export.bundle.bundle import Bundle, load_bundle
from export.errors import BundleError, ConfigError, ProviderUnavailable, VersionUnknown
from export.ranking.popularity import PopularityRanker
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.ops.heap import give_back_memory

__all__ = ["Loader", "Wanted", "is_of_settings", "load_ranker", "load_stand_in", "reason_of"]


class Wanted(NamedTuple):
    """A version to be served. `sha256` of its manifest is empty where the registry, not an announcement, named it."""

    version: str
    sha256: str = ""
    announced_ts: int = 0
    uri: str = ""  # where the announcement says it is; workers fetch from the registry they were given


Loader = Callable[[Wanted], Ranker]


def load_ranker(config: StreamConfig, registry: Registry, wanted: Wanted) -> Ranker:
    """Fetch, verify and warm up a version.

    BundleError where it is not what was announced, or not sound; VersionUnknown where it lies elsewhere; ConfigError
    where its lists are shorter than k; ProviderUnavailable where the provider can't run here.
    """
    try:
        ranker = Ranker(
            _load(registry, wanted),
            RankerConfig(provider=config.provider, threads=config.threads, preference=config.preference),
        )
    finally:
        give_back_memory()
    try:
        ranker.check_k(config.k)
    except ConfigError as error:
        raise ConfigError(
            f"{error}: start the worker with --k {ranker.k_max}, or promote a model of longer lists"
        ) from error
    return ranker


def load_stand_in(registry: Registry, wanted: Wanted) -> PopularityRanker:
    """Fetch and verify a version for its popular items only; BundleError where its files are not sound."""
    return PopularityRanker(_load(registry, wanted))


def is_of_settings(error: Exception) -> bool:
    """Whether a model was refused for what the worker was told, and not for what the model is."""
    return isinstance(error, ConfigError | ProviderUnavailable)


def reason_of(error: Exception) -> str:
    """Why a model was refused, as the metric has it: the bundle's reason; else provider_unavailable and the like."""
    if isinstance(error, BundleError):
        return error.reason
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _load(registry: Registry, wanted: Wanted) -> Bundle:
    try:
        bundle = load_bundle(registry.fetch(wanted.version))
    except VersionUnknown as error:
        if not wanted.uri:
            raise
        raise VersionUnknown(
            f"{error}. It was announced as {wanted.uri}: give the worker that registry, or publish the version here too"
        ) from error
    if bundle.manifest.version != wanted.version or wanted.sha256 not in ("", bundle.manifest_sha256):
        raise BundleError("altered", f"version {wanted.version} in {registry.url} is not the one that was announced")
    return bundle
