"""Before a worker's first click: garbage collection, the logs of libraries, and the topics it needs."""

import gc
import logging

from confluent_kafka import KafkaException

from stream.config import StreamConfig
from stream.errors import AccessRefused, BrokerUnavailable
from stream.faust.security import hide_passwords
from stream.kafka.clients import wait_for_broker
from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin, partition_counts
from stream.ops.signals import StopSignal

__all__ = ["await_topics", "collect_less_garbage", "quiet_libraries", "worker_topics"]

log = logging.getLogger(__name__)

_ANSWER_S = 10.0  # for a list of topics
_COLLECT_AFTER = 20_000  # new objects; Python's own 700 are a dozen clicks


def collect_less_garbage() -> None:
    """Records and rows hold no cycles, and the objects of the modules are never garbage: looking at all of them again
    and again is a quarter of a recovery, and pauses of tens of milliseconds in between."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)


def quiet_libraries(level: str) -> None:
    """No passwords at any level. Above debug no chatter either: Faust tells each step of its services, and
    aiokafka each attempt to reach a broker that is away, ten a second."""
    hide_passwords()
    if level.upper() == "DEBUG":
        return
    for name in ("faust", "mode", "stream.faust"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def await_topics(config: StreamConfig, stop: StopSignal) -> dict[str, int] | None:
    """The cluster's topics, once a broker answers, however often it goes away meanwhile; None when asked to end.

    AccessRefused at once: waiting does not make a password right.
    """
    while not stop.event.is_set():
        try:
            wait_for_broker(config.bootstrap_servers, config.kafka, on_wait=log.warning, stopped=stop.event)
            return worker_topics(config)
        except AccessRefused:
            raise
        except BrokerUnavailable as error:
            log.warning("%s", error)
    return None


def worker_topics(config: StreamConfig) -> dict[str, int]:
    """The cluster's topics and their partitions. On librdkafka's in-process cluster, which makes topics when they are
    first asked for, the worker's are asked for."""
    counts = partition_counts(config.bootstrap_servers, config.kafka)
    missing = [name for name in config.topics.all(config.group) if name not in counts]
    if missing and _make_on_mock(config, missing):
        counts = partition_counts(config.bootstrap_servers, config.kafka)
    return counts


def _make_on_mock(config: StreamConfig, names: list[str]) -> bool:
    """Whether this is the in-process cluster; a real one might make topics of a wrong shape if asked like that."""
    client = build_admin(config.bootstrap_servers, config.kafka)
    try:
        if not is_in_process(client.list_topics(timeout=_ANSWER_S).cluster_id):
            return False
        for name in names:
            client.list_topics(name, timeout=_ANSWER_S)
    except KafkaException as error:
        raise BrokerUnavailable(f"the broker at {config.bootstrap_servers} does not answer: {error}") from error
    return True
