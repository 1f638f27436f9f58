"""Topics as the cluster has them now: their numbers of partitions, and their identities.

A topic that was deleted and made again has the same name and another identity: places in the old one mean nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from stream.errors import BrokerUnavailable
from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin

__all__ = ["Topic", "TopicLook"]

_ANSWER_S = 5.0
_NO_IDENTITY = "AAAAAAAAAAAAAAAAAAAAAA"  # sixteen zeros: a broker that knows of none


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its number of partitions, and its identity where the cluster tells it."""

    partitions: int
    identity: str | None = None


class TopicLook:
    """Looks at the topics of one cluster. Blocks: for a thread, and not an event loop's."""

    def __init__(self, bootstrap_servers: str, extra: Mapping[str, str] | None = None) -> None:
        """ConfigError where librdkafka refuses an option."""
        self._servers, self._extra = bootstrap_servers, dict(extra or {})
        self._admin: Any = build_admin(bootstrap_servers, self._extra)
        self._in_process: bool | None = None

    def at(self, names: Sequence[str]) -> dict[str, Topic]:
        """Those that there are; BrokerUnavailable where the cluster does not say."""
        try:
            if self._in_process is None:
                cluster = self._admin.list_topics(timeout=_ANSWER_S).cluster_id
                self._in_process = is_in_process(cluster)
            return self._listed(names) if self._in_process else self._described(names)
        except (KafkaException, TimeoutError) as error:
            self._admin = build_admin(self._servers, self._extra)  # which knows no old brokers
            why = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
            raise BrokerUnavailable(f"the topics cannot be looked at: {why}") from error

    def _listed(self, names: Sequence[str]) -> dict[str, Topic]:
        """The in-process cluster has no identities of topics, and answers no request for them."""
        found = self._admin.list_topics(timeout=_ANSWER_S).topics
        return {name: Topic(len(found[name].partitions)) for name in names if name in found}

    def _described(self, names: Sequence[str]) -> dict[str, Topic]:
        topics: dict[str, Topic] = {}
        asked = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_ANSWER_S)
        for name, answer in asked.items():
            try:
                found = answer.result(2 * _ANSWER_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                continue
            identity = str(found.topic_id)
            topics[name] = Topic(len(found.partitions), None if identity == _NO_IDENTITY else identity)
        return topics
