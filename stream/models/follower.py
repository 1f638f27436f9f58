"""Following the models: which bundle is to be served, loading it beside the running one, and handing it over.

What is served, in this order: the newest announcement for the variant; without one, what the registry says is live;
without that, the newest version. A worker that has no model yet also takes older versions rather than none. A bundle
that fails is refused, reported and remembered, and the current model stays; a registry that fails is asked again.
Experiments come on the same topic: `stream/experiments/keeper.py` has their models loaded, one after the other, here.

Where there are models, but none can be used:

    at the start, by what the worker was told    `refusal`: k or the provider is wrong, and the worker must not answer
    at the start, by what the models are         popular items of one of them answer; without any that is readable,
                                                 `refusal`
    later, and one is in service                 that one stays
    later, and none is (the registry was empty)  popular items answer
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from export.errors import BundleError, NextclickError, RegistryError, VersionUnknown
from export.experiments.experiment import Experiment
from export.gently import gently
from export.ranking.popularity import PopularityRanker
from export.ranking.ranker import Ranker
from export.registry.away import remedy_for, require_filled
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.experiments.keeper import ExperimentKeeper
from stream.messages.announcements import AnnouncementReader
from stream.messages.contract import ModelAnnouncement
from stream.models.loading import Loader, Wanted, is_of_settings, load_ranker, load_stand_in, reason_of
from stream.models.pool import ModelPool
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems

__all__ = ["ModelFollower"]

_START_S = 5.0  # for reading the topic to its end before the first model is chosen
_EXPERIMENTS_S = 20.0  # the same, before the first click: who does not know the experiments shows some the wrong list
_READ_S = 0.2  # one wait for an announcement; also the delay of stop()
_BACKOFF_S = (0.5, 30.0)  # first and longest pause after the registry failed
_SIGHT_S = 10.0  # between two looks at a registry that nothing is wanted of

_log = logging.getLogger(__name__)


class ModelFollower:
    """Follows the models on a thread of its own, which also calls `on_model` and `on_error`."""

    def __init__(
        self,
        config: StreamConfig,
        metrics: Metrics,
        on_model: Callable[[Ranker], None],
        *,
        on_stand_in: Callable[[PopularityRanker], None] | None = None,
        on_error: Callable[[NextclickError], None] | None = None,
        problems: Problems | None = None,
        load: Loader | None = None,
        prepare: Callable[[Ranker], None] = lambda _ranker: None,
    ) -> None:
        """`on_stand_in` is handed popular items where there is no model to be served; without it nothing stands in.
        `on_error` hears of every model that could not be loaded; `load` takes the place of load_ranker in tests.
        `prepare` does what takes long before a variant of an experiment is served."""
        self._config, self._metrics = config, metrics
        self._on_model, self._on_stand_in, self._on_error = on_model, on_stand_in, on_error
        self._problems = problems or Problems()
        self._registry = Registry(config.registry)
        self._load = load or (lambda wanted: load_ranker(config, self._registry, wanted))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-follower", daemon=True)
        self._pool = ModelPool(lambda wanted: self._load(wanted), config.max_models)
        self.experiments = ExperimentKeeper(config, metrics, self._problems, self._pool, self._take, prepare=prepare)
        self._announced: Wanted | None = None
        self._serving: Wanted | None = None
        self._stand_in: Wanted | None = None
        self._refused: dict[Wanted, NextclickError] = {}
        self._unsaid: list[str] = []  # refusals at the start, until it is known whether the worker can serve
        self._next_look = self._next_sight = 0.0
        self._seen = True  # the registry, by the newest look at it
        self._pause = _BACKOFF_S[0]
        self._live_looked = False
        self.looked = threading.Event()  # the registry was read, and what it holds was tried, once; variants as well
        self.loading: str | None = None  # the version that is being loaded now
        self.refusal: NextclickError | None = None  # why the worker must not answer: set before `looked`, or never
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
        begun = time.monotonic()
        while not (self._has_heard_all(reader, begun + _START_S) or self._stopped.is_set()):
            self._read(reader)
        while not self._stopped.is_set():
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + self._config.models_poll_s
                self._look()
            self._pool.tidy()
            if self.refusal is not None:
                self.looked.set()
            elif self._live_looked:
                more = self.experiments.look()
                if not more and self._has_heard_all(reader, begun + _EXPERIMENTS_S):
                    self.looked.set()
            self._read(reader)

    def _has_heard_all(self, reader: AnnouncementReader, deadline: float) -> bool:
        """Whether all that was announced before was read, or waiting for it has an end."""
        return reader.caught_up or reader.missing or time.monotonic() > deadline

    def _read(self, reader: AnnouncementReader) -> None:
        errors = reader.errors
        announcement = reader.read(_READ_S)
        if reader.errors > errors:
            self._metrics.announcement_errors.inc(reader.errors - errors)
            _log.warning("ignored: %s", reader.last_error)
        if isinstance(announcement, ModelAnnouncement) and announcement.variant == self._config.variant:
            self._hear(announcement)
        elif isinstance(announcement, Experiment):
            self.experiments.hear(announcement)

    def _hear(self, announcement: ModelAnnouncement) -> None:
        self._announced = Wanted(announcement.version, announcement.sha256, announcement.announced_ts, announcement.uri)
        self._next_look, self._pause = 0.0, _BACKOFF_S[0]

    def _look(self) -> None:
        """Serve the first candidate that can be had, unless it is in service."""
        try:
            if not self._choose() and self._serving is None:
                self._do_without()
        except (RegistryError, OSError) as error:
            self._say_refusals()
            self._report_registry(error)
            self._back_off()
            return
        self._say_refusals()
        if self._sees_registry():
            self._problems.clear("registry")
        self._live_looked = True

    def _choose(self) -> bool:
        """Whether one of the candidates is in service."""
        for place, wanted in enumerate(self._candidates()):
            if self._is_served(wanted) or (wanted not in self._refused and self._serve_if_there(wanted)):
                if place == 0:
                    self.error = None
                    self._problems.clear("model_refused")
                return True
        return False

    def _do_without(self) -> None:
        """No model is in service. An empty registry is waited for; one that holds models is another matter."""
        if not self._refused or self.refusal is not None or self._stand_in is not None:
            return
        if not self.looked.is_set():
            self.refusal = next(filter(is_of_settings, self._refused.values()), None)
        if self.refusal is None and self._on_stand_in is not None and not self._serve_stand_in(self._on_stand_in):
            self.refusal = next(iter(self._refused.values())) if not self.looked.is_set() else None

    def _serve_stand_in(self, on_stand_in: Callable[[PopularityRanker], None]) -> bool:
        for wanted in self._refused:
            try:
                ranker = load_stand_in(self._registry, wanted)
            except (BundleError, VersionUnknown):  # said before, when the whole of it was refused
                continue
            self._stand_in = wanted
            self._problems.raise_(
                "no_model",
                f"no model can be served; the most popular items of version {wanted.version} answer in its place",
                "the reason of the refusal says what to do",
            )
            on_stand_in(ranker)
            return True
        return False

    def _sees_registry(self) -> bool:
        """What is in service needs no registry, but who is started next does: that it is away is said now."""
        if self._serving is not None and time.monotonic() >= self._next_sight:
            self._next_sight = time.monotonic() + _SIGHT_S
            try:
                require_filled(self._registry, self._serving.version)
                self._seen = True
            except (RegistryError, OSError) as error:
                self._seen = False
                self._say_away(error)
        return self._seen

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
            self._report_registry(error)
            self._back_off()  # in case none of the others can be had
            return False

    def _serve(self, wanted: Wanted) -> bool:
        """Whether the model is in service now. RegistryError and OSError pass through: they may go away."""
        begun = time.monotonic()
        try:
            ranker = self._take(wanted)
        except (RegistryError, OSError):
            raise
        except Exception as error:  # whatever a damaged graph does to ONNX Runtime
            self._refuse(wanted, error)
            return False
        if self._stopped.is_set():
            return False
        sha256 = ranker.bundle.manifest_sha256
        self.experiments.live_will_be(ranker)
        self._on_model(ranker)
        self._serving, self._stand_in, self._pause = Wanted(wanted.version, sha256), None, _BACKOFF_S[0]
        self._pool.live_is(wanted.version)
        self._problems.clear("no_model")
        self._metrics.set_model(wanted.version, self._config.variant, sha256)
        _log.info("model %s is in service, loaded in %.2f s", wanted.version, time.monotonic() - begun)
        return True

    def _take(self, wanted: Wanted) -> Ranker:
        """From the pool; raises what loading raises."""
        self.loading = wanted.version
        try:
            with gently(self._serving is not None):  # clicks are answered meanwhile
                return self._pool.take(wanted)
        finally:
            self.loading = None

    def _refuse(self, wanted: Wanted, error: Exception) -> None:
        self._metrics.model_failures.labels(reason_of(error)).inc()
        self.error = f"model {wanted.version} refused: {error}"
        self._refused[wanted] = _bare(error) if isinstance(error, NextclickError) else NextclickError(self.error)
        now = f"model {self.version} stays in service" if self.version else "no model is in service"
        remedy = "start the workers with other settings, or promote another model"
        if not is_of_settings(error):
            options = f"--bootstrap-servers HOST{self._config.topics.as_options()}"
            remedy = f"publish it again and promote it, or go back by `nextclick models rollback {options}`"
        self._unsaid.append(f"{self.error}; {now}: {remedy}")
        if self.looked.is_set():
            self._say_refusals()
        self._problems.raise_("model_refused", self.error, remedy, logged=True)
        if self._on_error is not None:
            self._on_error(self._refused[wanted])

    def _say_refusals(self) -> None:
        """But not where they end the worker, which says why."""
        for line in () if self.refusal is not None else self._unsaid:
            _log.error("%s", line)
        self._unsaid.clear()

    def _report_registry(self, error: Exception) -> None:
        """It may go away: it is asked again, less and less often."""
        self._metrics.model_failures.labels("registry").inc()
        self.error = str(error)
        self._say_away(error)
        if self._on_error is not None:
            self._on_error(error if isinstance(error, NextclickError) else NextclickError(self.error))

    def _say_away(self, error: Exception) -> None:
        stays = f", model {self.version} stays in service" if self.version else ""
        self._problems.raise_("registry", f"the registry can't be used{stays}: {error}", remedy_for(error))


def _bare(error: NextclickError) -> NextclickError:
    """The error without its frames, which hold the model that was refused: it is remembered as long as we live."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
