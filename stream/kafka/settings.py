"""Settings of the cluster without which a worker goes wrong later, and in other words: refused when it starts.

    a changelog, models or items topic without compaction   the broker would delete states, or what is in force
    a session time-out outside the broker's range           the group would refuse the worker for ever

Where the cluster does not let a worker read its settings, that is said, and the worker starts.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType

from export.errors import ConfigError
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin

__all__ = ["check_compaction", "check_session_timeout", "check_settings"]

log = logging.getLogger(__name__)

_ANSWER_S = 10.0
_AGAIN_S = 0.2  # until a cluster that has just come back is asked again
_POLICY, _SHORTEST, _LONGEST = "cleanup.policy", "group.min.session.timeout.ms", "group.max.session.timeout.ms"


def check_settings(config: StreamConfig) -> None:
    """Raises TopicError or ConfigError where a worker must not start, BrokerUnavailable without an answer."""
    admin: Any = build_admin(config.bootstrap_servers, config.kafka)
    cluster = _cluster(admin, config.bootstrap_servers)
    if is_in_process(cluster.cluster_id):
        log.debug("the in-process cluster has no settings to check")
        return
    items = [name for name in (config.topics.items,) if name in cluster.topics]  # it may be missing
    for name in (config.changelog_topic, config.topics.models, *items):
        check_compaction(name, _settings(admin, ResourceType.TOPIC, name))
    broker = str(min(cluster.brokers))
    check_session_timeout(config.broker_session_timeout_s, _settings(admin, ResourceType.BROKER, broker))


def _cluster(admin: Any, servers: str) -> Any:
    """Return what the cluster says of itself, once it names a broker: one that has just come back may name none.

    BrokerUnavailable where none answers, or is named, in time.
    """
    end = time.monotonic() + _ANSWER_S
    while True:
        try:
            cluster = admin.list_topics(timeout=_ANSWER_S)
        except KafkaException as error:
            raise BrokerUnavailable(f"no Kafka broker at {servers}: {error.args[0].str()}") from error
        if cluster.brokers:
            return cluster
        if time.monotonic() > end:
            raise BrokerUnavailable(f"what answers at {servers} names no broker of its cluster: see to its controller")
        time.sleep(_AGAIN_S)


def check_compaction(topic: str, settings: Mapping[str, str]) -> None:
    """TopicError where the topic is not compacted; `settings` are the topic's, empty where they cannot be read."""
    policy = settings.get(_POLICY, "compact")
    if "compact" not in policy:
        raise TopicError(
            f"{topic} has cleanup.policy={policy}, so the broker would delete what is still needed: "
            f"kafka-configs --alter --topic {topic} --add-config cleanup.policy=compact"
        )


def check_session_timeout(timeout_s: float, settings: Mapping[str, str]) -> None:
    """ConfigError where the group would refuse a member; `settings` are a broker's, empty where they cannot be read."""
    shortest, longest = (settings.get(name, "") for name in (_SHORTEST, _LONGEST))
    too_short = shortest.isdecimal() and timeout_s * 1000 < int(shortest)
    too_long = longest.isdecimal() and timeout_s * 1000 > int(longest)
    if too_short or too_long:
        raise ConfigError(
            f"the broker session time-out of {timeout_s:g} s is refused by the broker, which allows "
            f"{int(shortest or 0) / 1000:g} to {int(longest or 0) / 1000:g} s: say --broker-session-timeout-s within "
            f"that, or change {_SHORTEST if too_short else _LONGEST} of the broker"
        )


def _settings(admin: Any, kind: Any, name: str) -> dict[str, str]:
    """The settings of a topic or a broker; none, and a warning, where they cannot be read."""
    resource = ConfigResource(kind, name)
    try:
        found = admin.describe_configs([resource], request_timeout=_ANSWER_S)[resource].result(2 * _ANSWER_S)
    except (KafkaException, TimeoutError) as error:
        what = "broker" if kind == ResourceType.BROKER else "topic"
        log.warning(
            "the settings of %s %s cannot be read, and were not checked (%s): that takes the right to describe configs",
            what,
            name,
            error.args[0].str() if isinstance(error, KafkaException) else "no answer in time",
        )
        return {}
    return {key: str(entry.value) for key, entry in found.items() if entry.value is not None}
