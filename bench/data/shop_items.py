"""Items on their topic, as many as a benchmark asks for."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from bench.rig.brokers.process import wait_for

__all__ = ["POLICY", "load_items"]

BRANDS, HIDDEN_OF, BOOSTED_OF = 200, 10, 100  # brands; every so manyth item is not available, or boosted
POLICY = """
exclude = ["seen"]
at_most = {brand = 3}
"""


def load_items(bootstrap: str, names: Iterable[str], *, topic: str = "items", all_available: bool = False) -> int:
    """Put items on the topic, and return how many once the broker has confirmed all of them."""
    options = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 50, "log_level": 0}
    producer, count = Producer(options), 0
    for number, name in enumerate(names, 1):
        hidden = "" if all_available or number % HIDDEN_OF else ',"available":false'
        boost = "" if number % BOOSTED_OF else ',"boost":1.5'
        brand = f'"attributes":{{"brand":"b{number % BRANDS}"}}'
        value = f'{{"item_id":"{name}",{brand},"price":{number % 97}{hidden}{boost}}}'
        while True:
            try:
                producer.produce(topic, value.encode(), name.encode())
                break
            except BufferError:
                producer.poll(0.1)
        count = number
    wait_for("the items to be confirmed", lambda: producer.flush(10) == 0, 180)
    return count
