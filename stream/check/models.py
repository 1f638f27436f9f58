"""The registry, the models that are live or announced, experiments, policy, and where graphs run."""

from collections.abc import Iterator, Mapping

from export.errors import NextclickError, ProviderUnavailable, RegistryMissing
from export.experiments.experiment import Experiment
from export.ranking.runtime import try_provider
from export.registry.registry import Registry
from stream.check.finding import Finding, error, info, warning
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable
from stream.kafka.clients import wait_for_broker
from stream.messages.announcements import AnnouncementReader
from stream.messages.contract import ModelAnnouncement
from stream.models.loading import Wanted, load_ranker

__all__ = ["AnnouncedNow", "check_announced", "check_policy", "check_provider", "check_registry", "read_announced"]

_READ_S = 0.2


class AnnouncedNow:
    """What the topic `models` says now: models by variant, experiments by name, and what could not be read."""

    def __init__(self) -> None:
        self.models: dict[str, ModelAnnouncement] = {}
        self.experiments: dict[str, Experiment] = {}
        self.unreadable: list[str] = []

    def take(self, message: ModelAnnouncement | Experiment) -> None:
        """One more message, newer than those before."""
        if isinstance(message, Experiment):
            self.experiments[message.experiment] = message
        else:
            self.models[message.variant] = message

    def running(self) -> list[Experiment]:
        """The experiments that run."""
        return [one for one in self.experiments.values() if one.state == "running" and one.variants]


def read_announced(bootstrap_servers: str, topic: str, extra: Mapping[str, str], timeout_s: float) -> AnnouncedNow:
    """Read the topic to its end; BrokerUnavailable where that takes longer than `timeout_s`."""
    wait_for_broker(bootstrap_servers, extra, timeout_s=timeout_s)
    reader, found = AnnouncementReader(bootstrap_servers, topic, extra), AnnouncedNow()
    looks = max(1, round(timeout_s / _READ_S))
    try:
        while not reader.caught_up and not reader.missing:
            errors, message = reader.errors, reader.read(_READ_S)
            if message is not None:
                found.take(message)
            elif reader.errors > errors:
                found.unreadable.append(str(reader.last_error))
            else:
                looks -= 1
            if not looks:
                raise BrokerUnavailable(f"{topic} could not be read to its end within {timeout_s:g} s")
    finally:
        reader.close()
    return found


def check_provider(config: StreamConfig) -> Iterator[Finding]:
    """Whether graphs can run here as asked for."""
    try:
        try_provider(config.provider)
    except ProviderUnavailable as problem:
        yield error("provider", f"--provider {config.provider}", str(problem), "or say --provider cpu")


def check_policy(config: StreamConfig) -> Iterator[Finding]:
    """The policy file, and lists of ids that it names."""
    try:
        config.policy.read(config.k)
    except NextclickError as problem:
        yield error("policy", str(config.policy.file or config.policy.blocked_items), str(problem), "docs/policies.md")


def check_registry(config: StreamConfig) -> Iterator[Finding]:
    """The registry answers, and what is live for the variant can be loaded and ranks, as the worker would have it."""
    registry = Registry(config.registry)
    try:
        versions = registry.versions()
        live = registry.live(config.variant)
    except RegistryMissing as problem:
        yield error("registry_missing", config.registry, str(problem), "train a first model into it, or check the URL")
        return
    except NextclickError as problem:
        yield error("registry_unreadable", config.registry, str(problem), "check address, rights and credentials")
        return
    if not versions:
        yield warning(
            "registry_empty", config.registry, "it holds no version: lists are empty", "nextclick train --registry URL"
        )
    elif live is None:
        yield warning(
            "nothing_live",
            config.registry,
            f"nothing was promoted for variant {config.variant}: lists are empty until then",
            f"nextclick models promote {versions[-1]} --registry URL --bootstrap-servers HOST",
        )
    else:
        yield from _loads(config, registry, Wanted(live), "live")


def check_announced(config: StreamConfig, found: AnnouncedNow) -> Iterator[Finding]:
    """What was announced, against the registry: workers follow the announcement."""
    topic, registry = config.topics.models, Registry(config.registry)
    for words in found.unreadable:
        yield warning("announcement_unreadable", topic, words, "announce it again: nextclick models promote VERSION")
    try:
        versions, live = set(registry.versions()), registry.live(config.variant)
    except NextclickError:
        return  # said by check_registry
    told = found.models.get(config.variant)
    if told is not None and told.version not in versions:
        yield error(
            "announced_missing",
            topic,
            f"version {told.version} was announced for variant {config.variant} as {told.uri}, and {config.registry} "
            "does not hold it: workers stay with what they have, or have nothing",
            "give the workers the registry it lies in, or promote a version that is there",
        )
    elif told is not None and told.version != live:
        yield warning(
            "announced_differs",
            topic,
            f"version {told.version} was announced for variant {config.variant}, and live in the registry is {live}: "
            "workers follow the announcement",
            f"nextclick models promote {live or told.version} --registry URL --bootstrap-servers HOST",
        )
        yield from _loads(config, registry, Wanted(told.version, told.sha256, uri=told.uri), "announced")
    elif told is not None and told.sha256:
        yield from _same(config, registry, told)
    for experiment in found.running():
        for variant in experiment.variants:
            if variant.version and not variant.stopped and variant.version not in versions:
                yield error(
                    "experiment_version",
                    f"experiment {experiment.experiment}",
                    f"variant {variant.name} is version {variant.version}, which {config.registry} does not hold: its "
                    "sessions get something else",
                    f"nextclick experiment stop {experiment.experiment}, or publish the version there",
                )


def _same(config: StreamConfig, registry: Registry, told: ModelAnnouncement) -> Iterator[Finding]:
    try:
        sha256 = registry.manifest_sha256(told.version)
    except NextclickError:
        return  # said by check_registry
    if sha256 != told.sha256:
        yield error(
            "announced_altered",
            config.topics.models,
            f"version {told.version} in {config.registry} is not the one that was announced (another manifest.json)",
            f"nextclick models promote {told.version} announces the one that is there",
        )


def _loads(config: StreamConfig, registry: Registry, wanted: Wanted, how: str) -> Iterator[Finding]:
    where = f"version {wanted.version}"
    try:
        load_ranker(config, registry, wanted)
    except NextclickError as problem:
        yield error(
            "version_unusable",
            where,
            f"what is {how} for variant {config.variant} can't be served: {problem}",
            "nextclick models rollback, or promote another version",
        )
        return
    yield info("version_loads", where, f"what is {how} for variant {config.variant} loads, and its graph ranks")
