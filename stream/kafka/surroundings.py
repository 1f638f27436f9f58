"""What a worker stands on, as the cluster has it now: its topics, their identities and their numbers of partitions.

A topic that was deleted and made again has the same name and another identity: places in the old one mean nothing.
`compare` tells what has changed since the start, and what is to be done about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stream.config import StreamConfig
from stream.errors import TopicError
from stream.kafka.look import Topic, TopicLook
from stream.kafka.topics import check_partitions, missing_topics

__all__ = ["KINDS", "Change", "Surroundings", "compare"]

Kind = Literal["missing", "remade", "partitions", "state"]
KINDS: tuple[Kind, ...] = ("missing", "remade", "partitions", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What no worker can go on with. `error` says what it is and what to do, and has the exit code."""

    kind: Kind  # `state`: the sessions' states are of other clicks than those in the topic
    topic: str
    error: TopicError


class Surroundings:
    """Looks at the topics of a worker. Blocks: for a thread, and not the event loop's."""

    def __init__(self, config: StreamConfig) -> None:
        """ConfigError where librdkafka refuses an option."""
        topics = config.topics
        self._names = [topics.clicks, topics.recommendations, topics.rejected, topics.models, config.changelog_topic]
        self._topics = TopicLook(config.bootstrap_servers, config.kafka)

    def look(self) -> dict[str, Topic]:
        """The worker's topics, those that are missing left out; BrokerUnavailable where the cluster does not say."""
        return self._topics.at(self._names)


def compare(config: StreamConfig, before: Mapping[str, Topic], now: Mapping[str, Topic]) -> Change | None:
    """What has changed so that the worker cannot go on; the worst of it, if several things have."""
    return _missing(config, now) or _remade(config, before, now) or _repartitioned(config, before, now)


def _missing(config: StreamConfig, now: Mapping[str, Topic]) -> Change | None:
    missing = missing_topics(now, config.group, config.topics)
    if not missing:
        return None
    if config.topics.clicks in missing and config.changelog_topic not in missing:
        state = f"; the sessions of the old {config.topics.clicks} are still in {config.changelog_topic}: "
        state += "start the workers with --reset-state then"
    else:
        state = ""
    options = f"--partitions N --group {config.group}{config.topics.as_options()}"
    error = TopicError(
        f"topics were deleted under the worker: {', '.join(missing)}; make them again with "
        f"`nextclick topics create --bootstrap-servers HOST {options}`{state}"
    )
    return Change(kind="missing", topic=missing[0], error=error)


def _remade(config: StreamConfig, before: Mapping[str, Topic], now: Mapping[str, Topic]) -> Change | None:
    remade = [name for name, topic in now.items() if _is_another(before.get(name), topic)]
    if not remade:
        return None
    names = config.topics
    meaning = {
        names.clicks: f"the states in {config.changelog_topic} are of the old one's clicks: start the workers with "
        "--reset-state, and all sessions start anew",
        config.changelog_topic: "the sessions' states are gone, and start anew with the next worker",
        names.models: "what was announced is gone: announce the model again with "
        f"`nextclick models promote VERSION --bootstrap-servers HOST{names.as_options()}`",
    }
    if config.changelog_topic in remade:
        del meaning[names.clicks]  # no state is left that could contradict the clicks
    first = next((name for name in meaning if name in remade), remade[0])
    advice = meaning.get(first, "the messages in the old one are gone; the next worker writes into the new one")
    error = TopicError(f"topics were deleted and made again under the worker: {', '.join(remade)}; {advice}")
    return Change(kind="remade", topic=first, error=error)


def _repartitioned(config: StreamConfig, before: Mapping[str, Topic], now: Mapping[str, Topic]) -> Change | None:
    clicks = config.topics.clicks
    try:
        count = check_partitions({name: topic.partitions for name, topic in now.items()}, config.group, config.topics)
    except TopicError as refused:
        return Change(kind="partitions", topic=clicks, error=refused)
    if clicks not in before or before[clicks].partitions == count:
        return None
    error = TopicError(
        f"{clicks} has {count} partitions, and had {before[clicks].partitions} when the worker started: the next "
        "worker starts with all of them. Sessions whose clicks now go to another partition start anew"
    )
    return Change(kind="partitions", topic=clicks, error=error)


def _is_another(before: Topic | None, now: Topic) -> bool:
    return before is not None and None not in (before.identity, now.identity) and before.identity != now.identity
