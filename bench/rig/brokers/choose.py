"""Which broker the tests get: the first of these that this machine can have.

    KAFKA_BOOTSTRAP_SERVERS   a cluster that runs already
    testcontainers            Apache Kafka in Docker
    jvm                       Apache Kafka on this machine's Java
    mock                      librdkafka's in-process cluster, for tests that need one worker only

NEXTCLICK_BROKER=testcontainers, jvm or mock asks for that one and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.rig.brokers.base import Broker, BrokerMissing
from bench.rig.brokers.containers import ContainerBroker
from bench.rig.brokers.external import ExternalBroker
from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.brokers.jvm import JvmBroker

__all__ = ["Choice", "choose_broker"]

_KINDS: dict[str, Callable[[], Broker]] = {
    "testcontainers": ContainerBroker,
    "jvm": JvmBroker,
    "mock": InProcessBroker,
}


@dataclass(slots=True)
class Choice:
    """The broker found, started, and why those before it could not be had."""

    broker: Broker | None = None
    missing: list[str] = field(default_factory=list)  # "kind: what is missing"


def choose_broker(environment: Mapping[str, str], kinds: Mapping[str, Callable[[], Broker]] = _KINDS) -> Choice:
    """Start the first broker to be had. ValueError for an unknown NEXTCLICK_BROKER."""
    choice = Choice()
    for name, make in _wanted(environment, kinds):
        try:
            broker = make()
            broker.start()
        except BrokerMissing as error:
            choice.missing.append(f"{name}: {error}")
            continue
        choice.broker = broker
        return choice
    return choice


def _wanted(
    environment: Mapping[str, str], kinds: Mapping[str, Callable[[], Broker]]
) -> list[tuple[str, Callable[[], Broker]]]:
    asked = environment.get("NEXTCLICK_BROKER", "")
    if asked:
        if asked not in kinds:
            raise ValueError(f"NEXTCLICK_BROKER must be one of {', '.join(kinds)}, not {asked!r}")
        return [(asked, kinds[asked])]
    address = environment.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if address:
        return [("KAFKA_BOOTSTRAP_SERVERS", lambda: ExternalBroker(address))]
    return list(kinds.items())
