"""The producer of clicks that come by HTTP."""

import time

from confluent_kafka import KafkaError

from stream.serve.clicks import ClickWriter
from tests.stream.serve.server import CALM_S


def test_trouble_is_over_once_a_broker_answers_though_nobody_clicks(cluster: str, topic: str) -> None:
    writer = ClickWriter(cluster, topic)
    writer._note(KafkaError(KafkaError._TRANSPORT, "connection refused"))
    assert writer.trouble == "connection refused"
    writer.start()
    deadline = time.monotonic() + CALM_S
    while writer.trouble and time.monotonic() < deadline:
        time.sleep(0.02)
    writer.stop(1.0)
    assert not writer.trouble
