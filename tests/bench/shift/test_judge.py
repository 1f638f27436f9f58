"""What stood in the topics of an arm: hits by the scoreboard, and the first lists of new items and versions."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.in_process import InProcessBroker
from bench.shift.figures import Judged
from bench.shift.judge import look_back
from stream.messages.contract import Click, Recommendation, Source, encode, recommended
from stream.topic_names import Topics

BEGIN = 1_700_000_000_000
TOPICS = Topics.named({"clicks": "clicks", "recommendations": "on.recommendations"})
CLICKS = "axbn"  # items of one session, a second apart
LISTS = (("xy", "1"), ("cd", "1"), ("nb", "2"), ("yz", "2"))  # each answers the click of its place, 100 ms later


@pytest.fixture
def bootstrap() -> Iterator[str]:
    broker = InProcessBroker()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for topic in (TOPICS.clicks, TOPICS.recommendations):
        producer.list_topics(topic, timeout=10)
    for place, (item, (items, model)) in enumerate(zip(CLICKS, LISTS, strict=True)):
        at_ms = BEGIN + place * 1_000
        click = encode(Click("s", item, at_ms))
        producer.produce(TOPICS.clicks, click, b"s", partition=0, timestamp=at_ms)
        listed = recommended([(one, 1.0) for one in items])
        source = Source(TOPICS.clicks, 0, place)
        found = Recommendation("s", listed, model, "default", False, source, at_ms, at_ms + 100)
        producer.produce(TOPICS.recommendations, encode(found), b"s", partition=0)
    assert producer.flush(10) == 0
    yield broker.bootstrap
    broker.close()


def test_look_back_judges_clicks_and_finds_first_lists(bootstrap: str) -> None:
    seen = look_back(bootstrap, TOPICS, BEGIN, {"n", "b", "q"})
    assert seen.judged == [Judged(1.0, True), Judged(2.0, False), Judged(3.0, True)]
    assert seen.listed == {"n": 2.1, "b": 2.1}
    assert seen.versions == {"1": 0.1, "2": 2.1}
