"""Following the models: which bundle is to be served, loading it beside the running one, and handing it over.

What is served, in this order: the newest announcement for the variant; without one, what the registry says is live;
without that, the newest version. A worker that has no model yet also takes older versions rather than none. A bundle
that fails is refused, reported and remembered, and the current model stays; a registry that fails is asked again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from export.bundle.bundle import load_bundle
from export.errors import BundleError, NextclickError, RegistryError, VersionUnknown
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.announcements import AnnouncementReader
from stream.messages.contract import ModelAnnouncement
from stream.ops.metrics import Metrics

__all__ = ["Loader", "ModelFollower", "Wanted", "load_ranker"]

_START_S = 5.0  # for reading the topic to its end before the first model is chosen
_READ_S = 0.2  # one wait for an announcement; also the delay of stop()
_BACKOFF_S = (0.5, 30.0)  # first and longest pause after the registry failed

_log = logging.getLogger(__name__)


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
        bundle = load_bundle(registry.fetch(wanted.version))
    except VersionUnknown as error:
        if not wanted.uri:
            raise
        raise VersionUnknown(
            f"{error}. It was announced as {wanted.uri}: give the worker that registry, or publish the version here too"
        ) from error
    if bundle.manifest.version != wanted.version or wanted.sha256 not in ("", bundle.manifest_sha256):
        raise BundleError("altered", f"version {wanted.version} in {registry.url} is not the one that was announced")
    ranker = Ranker(bundle, RankerConfig(provider=config.provider, threads=config.threads))
    ranker.check_k(config.k)
    return ranker


class ModelFollower:
    """Follows the models on a thread of its own, which also calls `on_model` and `on_error`."""

    def __init__(
        self,
        config: StreamConfig,
        metrics: Metrics,
        on_model: Callable[[Ranker], None],
        *,
        on_error: Callable[[NextclickError], None] | None = None,
        load: Loader | None = None,
    ) -> None:
        """`on_error` hears of every model that could not be loaded; `load` takes the place of load_ranker in tests."""
        self._config, self._metrics = config, metrics
        self._on_model, self._on_error = on_model, on_error
        self._registry = Registry(config.registry)
        self._load = load or (lambda wanted: load_ranker(config, self._registry, wanted))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-follower", daemon=True)
        self._announced: Wanted | None = None
        self._serving: Wanted | None = None
        self._refused: set[Wanted] = set()
        self._next_look = 0.0
        self._pause = _BACKOFF_S[0]
        self.looked = threading.Event()  # the first look is over: a model is in service, or none could be had
        self.error: str | None = None  # why the newest wanted model is not in service

    @property
    def version(self) -> str | None:
        """The version in service."""
        return self._serving.version if self._serving else None

    def start(self) -> None:
        """Start following; RegistryMissing where there is no registry. An empty one is waited for."""
        self._registry.versions()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; a load in progress is not waited for longer than `timeout_s`."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            reader = AnnouncementReader(self._config.bootstrap_servers, self._config.topics.models, self._config.kafka)
            try:
                self._follow(reader)
            except Exception:  # a thread that dies in silence would leave the worker with its model for ever
                _log.exception("following the models failed; trying again")
                self._stopped.wait(_BACKOFF_S[0])
            finally:
                reader.close()

    def _follow(self, reader: AnnouncementReader) -> None:
        deadline = time.monotonic() + _START_S
        while not (reader.caught_up or reader.missing or time.monotonic() > deadline or self._stopped.is_set()):
            self._read(reader)
        while not self._stopped.is_set():
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + self._config.models_poll_s
                self._look()
                self.looked.set()
            self._read(reader)

    def _read(self, reader: AnnouncementReader) -> None:
        errors = reader.errors
        announcement = reader.read(_READ_S)
        if reader.errors > errors:
            self._metrics.announcement_errors.inc(reader.errors - errors)
            _log.warning("ignored: %s", reader.last_error)
        if announcement is not None and announcement.variant == self._config.variant:
            self._hear(announcement)

    def _hear(self, announcement: ModelAnnouncement) -> None:
        self._announced = Wanted(announcement.version, announcement.sha256, announcement.announced_ts, announcement.uri)
        self._next_look, self._pause = 0.0, _BACKOFF_S[0]

    def _look(self) -> None:
        """Serve the first candidate that can be had, unless it is in service."""
        try:
            for wanted in self._candidates():
                if self._is_served(wanted) or (wanted not in self._refused and self._serve_if_there(wanted)):
                    return
        except (RegistryError, OSError) as error:
            self._report(error, "registry")
            self._back_off()

    def _back_off(self) -> None:
        self._next_look = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _BACKOFF_S[1])

    def _candidates(self) -> Iterator[Wanted]:
        if self._announced is not None:
            yield self._announced
        if self._announced is not None and self._serving is not None:
            return
        history = self._registry.history(self._config.variant)
        if self._serving is not None:
            yield from map(Wanted, history[-1:])
            return
        yield from map(Wanted, dict.fromkeys([*reversed(history), *reversed(self._registry.versions())]))

    def _is_served(self, wanted: Wanted) -> bool:
        serving = self._serving
        return serving is not None and serving.version == wanted.version and wanted.sha256 in ("", serving.sha256)

    def _serve_if_there(self, wanted: Wanted) -> bool:
        """As `_serve`. Where nothing is in service yet, a version that the registry has lost makes way for others."""
        try:
            return self._serve(wanted)
        except VersionUnknown as error:
            if self._serving is not None:
                raise
            self._report(error, "registry")
            self._back_off()  # in case none of the others can be had
            return False

    def _serve(self, wanted: Wanted) -> bool:
        """Whether the model is in service now. RegistryError and OSError pass through: they may go away."""
        begun = time.monotonic()
        try:
            ranker = self._load(wanted)
        except (RegistryError, OSError):
            raise
        except Exception as error:  # whatever a damaged graph does to ONNX Runtime
            self._refused.add(wanted)
            self._report(error, error.reason if isinstance(error, BundleError) else _slug(error), wanted.version)
            return False
        if self._stopped.is_set():
            return False
        sha256 = ranker.bundle.manifest_sha256
        self._on_model(ranker)
        self._serving, self.error, self._pause = Wanted(wanted.version, sha256), None, _BACKOFF_S[0]
        self._metrics.set_model(wanted.version, self._config.variant, sha256)
        _log.info("model %s is in service, loaded in %.2f s", wanted.version, time.monotonic() - begun)
        return True

    def _report(self, error: Exception, reason: str, version: str = "") -> None:
        self._metrics.model_failures.labels(reason).inc()
        self.error = f"model {version} refused: {error}" if version else str(error)
        _log.error("%s; %s stays in service", self.error, f"model {self.version}" if self.version else "no model")
        if self._on_error is not None:
            self._on_error(error if isinstance(error, NextclickError) else NextclickError(self.error))


def _slug(error: Exception) -> str:
    """ProviderUnavailable -> provider_unavailable."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
