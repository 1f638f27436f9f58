"""One broker for the processes of a test run: started once, when it is asked for, and ended with the run."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.shared import BrokerHost, Shared, SharedBroker, ask_for_broker

MOCK = {"NEXTCLICK_BROKER": "mock"}


def answers(bootstrap: str) -> bool:
    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


@pytest.mark.waits
def test_all_who_ask_are_told_of_one_broker_which_ends_with_its_host(tmp_path: Path) -> None:
    host = BrokerHost(tmp_path, MOCK)
    with ThreadPoolExecutor(4) as processes:
        told = list(processes.map(lambda _: ask_for_broker(tmp_path), range(4)))
    assert told == [host.shared] * 4
    broker = SharedBroker(told[0])
    assert (broker.real, broker.restartable, answers(broker.bootstrap)) == (False, False, True)
    with pytest.raises(BrokerMissing, match="shared"):
        broker.clean()
    host.close()
    assert not answers(broker.bootstrap)


def test_host_that_nobody_asks_starts_no_broker(tmp_path: Path) -> None:
    host = BrokerHost(tmp_path, MOCK)
    host.close()
    assert host.shared is None
    assert not list(tmp_path.iterdir())


def test_broker_that_does_not_come_up_is_told_to_all_who_ask(tmp_path: Path) -> None:
    host = BrokerHost(tmp_path, {"NEXTCLICK_BROKER": "pulsar"})
    for _ in range(2):
        with pytest.raises(AssertionError, match="did not start: NEXTCLICK_BROKER must be one of"):
            ask_for_broker(tmp_path)
    host.close()


def test_broker_that_can_not_be_had_is_missing_with_the_reasons() -> None:
    with pytest.raises(BrokerMissing, match="jvm: no java; mock: no luck"):
        SharedBroker(Shared(missing=["jvm: no java", "mock: no luck"]))
