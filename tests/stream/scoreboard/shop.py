"""A shop's two topics, filled by hand: clicks, and the lists that answer them."""

from __future__ import annotations

import random

from confluent_kafka import Producer

from stream.messages.contract import Click, Recommendation, Source, encode, recommended
from stream.topic_names import Topics

__all__ = ["BEGIN", "Shop"]

BEGIN = 1_700_000_000_000
TOPICS = Topics()


class Shop:
    """Sends clicks and the lists that answer them, into partition 0 of both topics."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap})
        self.offset = 0

    def click(self, session: str, item: str) -> None:
        value = encode(Click(session, item, BEGIN + self.offset))
        self._producer.produce(TOPICS.clicks, value, session.encode(), partition=0, timestamp=BEGIN + self.offset)
        self.offset += 1

    def answer(
        self,
        session: str,
        items: str = "ab",
        offset: int | None = None,
        topic: str = TOPICS.clicks,
        *,
        experiment: str = "",
        variant: str = "default",
        model: str = "7",
    ) -> None:
        source = Source(topic, 0, self.offset - 1 if offset is None else offset)
        listed = recommended([(item, 1.0) for item in items])
        at_ms = BEGIN + source.offset
        found = Recommendation(session, listed, model, variant, False, source, 0, at_ms, experiment)
        self._producer.produce(TOPICS.recommendations, encode(found), session.encode(), partition=0)

    def raw(self, topic: str, value: bytes) -> None:
        self._producer.produce(topic, value, b"s", partition=0)
        self.offset += topic == TOPICS.clicks

    def run(self, luck: random.Random, clicks: int) -> None:
        for _ in range(clicks):
            session = f"s{luck.randrange(5)}"
            self.click(session, luck.choice("abcd"))
            if luck.random() < 0.9:
                self.answer(session, "".join(luck.sample("abcd", 2)))
        self.flush()

    def flush(self) -> None:
        assert self._producer.flush(10) == 0
