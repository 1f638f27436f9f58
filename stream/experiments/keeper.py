"""The experiments in one worker: heard of, their models loaded, put in force, and taken out of it.

An experiment is in force once it is known of each of its variants what answers it: a model that is there at once would
else have the first seconds for itself, and more sessions than its share. What is stopped is so with the announcement.
"""

import logging
import time
from collections.abc import Callable, Iterator

import msgspec

from export.errors import BundleError, ConfigError, RegistryError
from export.experiments.experiment import BUCKETS, CONTROL, Experiment, Variant
from export.ranking.ranker import Ranker
from stream.config import StreamConfig
from stream.experiments.plan import Plan, RunningExperiment
from stream.experiments.variant import ServedVariant, VariantHealth
from stream.models.loading import Wanted, reason_of
from stream.models.pool import ModelPool
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.path.answers import ItemRanker

__all__ = ["ExperimentHealth", "ExperimentKeeper"]

log = logging.getLogger(__name__)

_BACKOFF_S = (0.5, 30.0)  # first and longest pause after the registry failed
_SLOW = 3.0  # times as long as the control's runs of like size
_SLOW_S = 0.002  # and so much longer, below which nobody feels it
_SLOW_RUNS = 100  # compared, before anything is said


class ExperimentHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What /health says of one that runs."""

    experiment: str
    in_force: bool  # false while its models are loaded
    exposure: float  # percent of all sessions
    variants: list[VariantHealth]
    interleave: bool = False


class ExperimentKeeper:
    """`hear` and `look` are the follower's thread's; what is in force, `plan`, may be read by any."""

    def __init__(
        self,
        config: StreamConfig,
        metrics: Metrics,
        problems: Problems,
        pool: ModelPool,
        take: Callable[[Wanted], Ranker],
        *,
        prepare: Callable[[Ranker], None] = lambda _ranker: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`take` is the pool's, or does more than that. `prepare` does what takes long before a variant is served by a
        ranker, which may be the one that is live by a preference of its own; nothing where it was done before."""
        self._prepare = prepare
        self._config, self._metrics, self._problems = config, metrics, problems
        self._pool, self._take, self._clock = pool, take, clock
        self._running: tuple[RunningExperiment, ...] = ()  # the oldest first
        self._in_force: frozenset[str] = frozenset()
        self.plan: Plan | None = None  # None: nothing is in force

    def hear(self, experiment: Experiment) -> None:
        """This is how an experiment stands from now on."""
        before = next((one for one in self._running if one.experiment.experiment == experiment.experiment), None)
        if before is not None and before.experiment == experiment:
            return
        others = [one for one in self._running if one is not before]
        known = {one.variant: one for one in before.variants if one.state != "refused"} if before else {}
        variants: tuple[ServedVariant, ...] = ()
        if experiment.state == "running":
            variants = tuple(known[v] if v in known else self._new(experiment, v) for v in experiment.variants)
            others.append(RunningExperiment(experiment, variants))
        for gone in before.variants if before else ():
            if gone not in variants:
                gone.drop(experiment.reason or "it was announced anew")
        self._say_heard(experiment, before is not None)
        self._running = tuple(sorted(others, key=lambda one: (one.experiment.started_ts, one.experiment.experiment)))
        self._forget_figures(before, variants)
        self._settle()

    def look(self) -> bool:
        """Load the next version that is wanted; whether another look is worth while at once."""
        self._settle()
        for variant in self._variants():
            if variant.state == "wanted" or (variant.state == "refused" and self._clock() >= variant.retry_at):
                if self._pool.has_room(variant.variant.version):
                    self._serve(variant)
                    self._settle()
                    return True
                self._refuse_for_room(variant)
        self._settle()
        self._say()
        return False

    def live_will_be(self, ranker: Ranker) -> None:
        """A model is about to go live: have the variants that go by what is live ready for it."""
        for variant in self._variants():
            if not variant.variant.version:
                self._make_ready(variant, ranker)

    def health(self) -> list[ExperimentHealth]:
        """What /health says of those that run; called in any thread."""
        return [
            ExperimentHealth(
                one.experiment.experiment,
                in_force=one.experiment.experiment in self._in_force,
                exposure=round(100 * one.experiment.exposure / BUCKETS, 2),
                variants=[variant.health() for variant in one.variants],
                interleave=one.experiment.interleave,
            )
            for one in self._running
        ]

    def _new(self, experiment: Experiment, variant: Variant) -> ServedVariant:
        return ServedVariant(experiment.experiment, variant, self._config.variant_failures)

    def _variants(self) -> Iterator[ServedVariant]:
        for one in self._running:
            yield from one.variants

    def _serve(self, variant: ServedVariant) -> None:
        wanted = Wanted(variant.variant.version, variant.variant.sha256, uri=variant.variant.uri)
        begun, remedy = time.monotonic(), f"stop it by `nextclick experiment stop {variant.experiment}`"
        variant.load()
        variant.tries += 1
        try:
            ranker = self._take(wanted)
            self._prepare_one(variant.as_preferred(ranker))
        except (RegistryError, OSError) as error:  # it may go away
            self._metrics.model_failures.labels("registry").inc()
            pause = min(_BACKOFF_S[0] * 2 ** (variant.tries - 1), _BACKOFF_S[1])
            variant.refuse(str(error), f"it is tried again; or {remedy}", retry_at=self._clock() + pause)
        except Exception as error:  # whatever a damaged graph does to ONNX Runtime
            self._metrics.model_failures.labels(reason_of(error)).inc()
            cause = "publish the model again, and start another experiment" if isinstance(error, BundleError) else ""
            cause = "start the workers with other settings" if isinstance(error, ConfigError) else cause
            variant.refuse(str(error), f"{remedy}; {cause}" if cause else remedy)
        else:
            variant.serve(ranker)
            log.info("%s is served, loaded in %.2f s", variant, time.monotonic() - begun)

    def _refuse_for_room(self, variant: ServedVariant) -> None:
        variant.tries += 1
        variant.refuse(
            f"{self._config.max_models} models are loaded, and more are refused for the memory they take",
            "stop an experiment: `nextclick experiment list` shows them",
            retry_at=self._clock(),  # with every look, until there is room
        )

    def _settle(self) -> None:
        """Free what nobody needs, and put in force what can be."""
        self._pool.variants_want({one.variant.version for one in self._variants() if one.needs_its_model})
        self._metrics.models_loaded.set(len(self._pool.versions))
        in_force = [
            one
            for one in self._running
            if one.experiment.experiment in self._in_force or all(v.is_settled for v in one.variants)
        ]
        for variant in (variant for one in in_force for variant in one.variants):
            self._make_ready(variant, self._pool.live)
        names = frozenset(one.experiment.experiment for one in in_force)
        for name in names - self._in_force:
            log.info("experiment %s is in force", name)
        self._in_force = names
        self.plan = Plan(in_force, k=self._config.k, metrics=self._metrics) if in_force else None
        for variant in self._variants():
            if variant.state != "dropped":
                self._metrics.variant_served.labels(variant.experiment, variant.name).set(variant.state == "served")

    def _make_ready(self, variant: ServedVariant, live: Ranker | None) -> None:
        self._prepare_one(variant.ranker(live))

    def _prepare_one(self, ranker: ItemRanker | None) -> None:
        if isinstance(ranker, Ranker):
            self._prepare(ranker)

    def _say(self) -> None:
        refused = [variant for variant in self._variants() if variant.state == "refused"]
        if refused:
            what = "; ".join(f"{one} is not served, the live model answers: {one.reason}" for one in refused)
            self._problems.raise_("variant_not_served", what, refused[0].remedy, logged=True)
        else:
            self._problems.clear("variant_not_served")
        slow = [text for one in self._running for text in _slow(one)]
        if slow:
            remedy = "stop it by `nextclick experiment stop`, or give the workers more cores"
            self._problems.raise_("variant_slow", "; ".join(slow), remedy)
        else:
            self._problems.clear("variant_slow")

    def _say_heard(self, experiment: Experiment, known: bool) -> None:
        if experiment.state == "running":
            log.info("experiment %s is to run; variants: %s", experiment.experiment, _described(experiment))
        elif known:
            log.warning("experiment %s is stopped: %s", experiment.experiment, experiment.reason or "no reason given")

    def _forget_figures(self, before: RunningExperiment | None, now: tuple[ServedVariant, ...]) -> None:
        """A variant that was stopped is none that is not served."""
        lasting = {one.name for one in now if one.state != "dropped"}
        for one in before.variants if before else ():
            if one.name not in lasting:
                self._metrics.variant_served.remove(one.experiment, one.name)


def _described(experiment: Experiment) -> str:
    return ", ".join(
        f"{one.name} (version {one.version or 'live'}, {100 * one.share / BUCKETS:g} %)"
        + (f", stopped: {one.stopped}" if one.stopped else "")
        for one in experiment.variants
    )


def _slow(one: RunningExperiment) -> Iterator[str]:
    """The variants that take far longer than the control."""
    control = one.variants[CONTROL]
    for variant in one.variants:
        runs, own_s, control_s = variant.pace.against(control.pace)
        if runs >= _SLOW_RUNS and own_s > _SLOW * control_s and own_s - control_s > _SLOW_S:
            yield (
                f"{variant} takes {1000 * own_s:.1f} ms a ranking run, where {control.name} takes "
                f"{1000 * control_s:.1f} ms"
            )
