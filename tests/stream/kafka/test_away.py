"""That no broker answers is a problem until one has given a sign of life since."""

import time

from confluent_kafka import KafkaError

from stream.kafka.away import BrokersAway
from stream.ops.problems import Problems


def test_no_broker_is_told_with_its_address_until_one_is_heard_later() -> None:
    problems = Problems()
    brokers = BrokersAway(problems, "kafka:9092")
    before = time.monotonic()
    brokers.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    brokers.heard(before)
    (problem,) = problems.lasting()
    assert (problem.key, problem.unready) == ("no_broker", False)
    assert "kafka:9092" in problem.what
    assert problem.remedy
    brokers.heard(time.monotonic() + 1)
    assert problems.lasting() == []


def test_one_broker_of_several_that_is_away_is_none_of_it() -> None:
    problems = Problems()
    BrokersAway(problems, "kafka:9092").on_error(KafkaError(KafkaError._TRANSPORT))
    assert problems.lasting() == []
