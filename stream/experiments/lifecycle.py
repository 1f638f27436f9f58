"""Starting an experiment and stopping it, by announcements that workers and scoreboards follow."""

import time
from collections.abc import Mapping

import msgspec

from export.errors import BundleError, ConfigError, NextclickError
from export.experiments.experiment import BUCKETS, Experiment, Variant, check_name
from export.registry.registry import Registry
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.clients import wait_for_broker
from stream.messages.announcements import AnnouncementReader, announce_experiment
from stream.models.promotion import make_live
from stream.topic_names import Topics

__all__ = ["Announced", "shared_exposure"]

_BROKER_S = 10.0  # for the broker to answer, and for the topic to be read
_READ_S = 0.2


class Announced:
    """The experiments that were announced on one topic."""

    def __init__(
        self, bootstrap_servers: str, topics: Topics = Topics(), extra: Mapping[str, str] | None = None
    ) -> None:
        self._servers, self._topics, self._extra = bootstrap_servers, topics, extra
        self.unreadable: list[str] = []  # why messages of the topic were left out, at the last `read`

    def read(self) -> dict[str, Experiment]:
        """All by name, those that were stopped too; BrokerUnavailable, or TopicError where there is no such topic."""
        wait_for_broker(self._servers, self._extra, timeout_s=_BROKER_S)
        reader, deadline = (
            AnnouncementReader(self._servers, self._topics.models, self._extra),
            time.monotonic() + _BROKER_S,
        )
        found: dict[str, Experiment] = {}
        self.unreadable = []
        try:
            while not reader.caught_up:
                errors, one = reader.errors, reader.read(_READ_S)
                if isinstance(one, Experiment):
                    found[one.experiment] = one
                if reader.errors > errors:
                    self.unreadable.append(str(reader.last_error))
                if reader.missing:
                    raise TopicError(
                        f"there is no topic {self._topics.models}: make it by "
                        f"`nextclick topics create --bootstrap-servers HOST{self._topics.as_options()}`"
                    )
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(
                        f"{self._topics.models} could not be read to its end within {_BROKER_S:g} s"
                    )
        finally:
            reader.close()
        return {name: one for name, one in found.items() if one.variants}  # the others' records were removed

    def start(self, wanted: Experiment, registry: Registry, *, again: bool = False) -> tuple[Experiment, list[str]]:
        """Announce an experiment; what was announced, and words of warning about others that run.

        ConfigError where it contradicts itself, runs already, or ran before and `again` is not said; VersionUnknown or
        BundleError for a version that workers could not serve.
        """
        known = self.read()
        _require_startable(wanted.check(), known.get(wanted.experiment), again)
        now = time.time_ns() // 1_000_000
        variants = tuple(_found(variant, registry) for variant in wanted.variants)
        started = msgspec.structs.replace(wanted, variants=variants, started_ts=now, announced_ts=now, state="running")
        announce_experiment(self._servers, started, topic=self._topics.models, extra=self._extra)
        return started, shared_exposure(started, known)

    def stop(
        self, name: str, registry: Registry | None = None, *, promote: str | None = None, reason: str = ""
    ) -> tuple[Experiment, str | None]:
        """Announce that an experiment is over; what was announced, and the version that was made live before.

        `promote`: the variant whose version is to be live. ConfigError where there is no such experiment or variant, or
        the experiment does not run.
        """
        running = _require_running(name, self.read())
        version = _version_of(running, promote) if promote is not None else None
        if version:
            assert registry is not None, "promoting needs a registry"
            make_live(
                registry,
                lambda one: one.promote(version),
                variant="default",
                bootstrap_servers=self._servers,
                topics=self._topics,
                extra=self._extra,
            )
        why = reason or (f"variant {promote} was promoted" if promote else "stopped by hand")
        now = time.time_ns() // 1_000_000
        stopped = msgspec.structs.replace(running, state="stopped", reason=why, announced_ts=now)
        try:
            announce_experiment(self._servers, stopped, topic=self._topics.models, extra=self._extra)
        except NextclickError as error:
            if not version:
                raise
            raise type(error)(
                f"{error}. Version {version} is live already: repeat this by "
                f"`nextclick experiment stop {name} --bootstrap-servers HOST{self._topics.as_options()}`"
            ) from error
        return stopped, version


def shared_exposure(started: Experiment, known: Mapping[str, Experiment]) -> list[str]:
    """What other experiments that run leave of the exposure of one that was started after them, in words."""
    first = [one for one in known.values() if one.state == "running" and one.experiment != started.experiment]
    if not first:
        return []
    left = float(started.exposure)
    for one in first:
        left *= 1 - one.exposure / BUCKETS
    names = ", ".join(f"{one.experiment} ({100 * one.exposure / BUCKETS:g} %)" for one in first)
    return [
        f"experiments that run already are asked first: {names}. Of the {100 * started.exposure / BUCKETS:g} % of all "
        f"sessions that are to take part in {started.experiment}, about {100 * left / BUCKETS:.2g} % do; stop the "
        "others, or expose them to fewer"
    ]


def _require_startable(wanted: Experiment, before: Experiment | None, again: bool) -> None:
    name = wanted.experiment
    if before is None:
        return
    if before.state == "running":
        raise ConfigError(
            f"experiment {name} runs already: give the new one another name, or stop it by "
            f"`nextclick experiment stop {name}`"
        )
    if not again:
        raise ConfigError(
            f"experiment {name} ran before: under this name the same sessions are exposed and shown the same places "
            "again, and lists of both runs can't be told apart. Give it another name; or start it --again, if that is "
            "what you want"
        )


def _require_running(name: str, known: Mapping[str, Experiment]) -> Experiment:
    found = known.get(check_name(name))
    if found is None:
        others = ", ".join(sorted(one.experiment for one in known.values() if one.state == "running"))
        raise ConfigError(f"there is no experiment {name}; those that run: {others or 'none'}")
    if found.state != "running":
        raise ConfigError(
            f"experiment {name} is stopped already ({found.reason or 'no reason given'}); a model is made live by "
            "`nextclick models promote VERSION`"
        )
    return found


def _version_of(experiment: Experiment, name: str) -> str | None:
    """The version of a variant; None where it is what is live anyway."""
    found = next((variant for variant in experiment.variants if variant.name == name), None)
    if found is None:
        names = ", ".join(variant.name for variant in experiment.variants)
        raise ConfigError(f"experiment {experiment.experiment} has no variant {name}; it has {names}")
    return found.version or None


def _found(variant: Variant, registry: Registry) -> Variant:
    """With the place and the hash of its bundle, which was run here."""
    if not variant.version:
        return variant
    try:
        registry.try_out(variant.version)
        return msgspec.structs.replace(
            variant, uri=registry.uri(variant.version), sha256=registry.manifest_sha256(variant.version)
        )
    except BundleError as error:
        raise BundleError(error.reason, f"variant {variant.name}: version {variant.version}: {error.detail}") from error
