"""A log sent as live clicks arrives whole, in order and at its rate; and what watches the other end."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer

from export.errors import ConfigError
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.clients import assign_all, build_client, consumer_options
from stream.kafka.replay import LoggedClick, replay
from stream.kafka.watch import watch
from stream.messages.contract import Click, Recommendation, Source, decode_click, encode, recommended
from stream.topic_names import Topics
from tests.stream.kafka.test_clients import NOBODY

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def log(count: int) -> Iterator[LoggedClick]:
    for number in range(count):
        yield f"s{number % 5}", f"i{number}", 1000 + number, "cart" if number % 7 == 0 else "click"


def clicks_in(cluster: str, topic: str, count: int) -> list[Click]:
    consumer: Consumer = build_client(Consumer, consumer_options(cluster))
    assert assign_all(consumer, topic, from_beginning=True)
    found: list[Click] = []
    while len(found) < count:
        messages = consumer.consume(count, timeout=5)
        assert messages, f"{len(found)} of {count} clicks came"
        for message in messages:
            assert message.error() is None
            found.append(decode_click(message.value(), message.key(), message.timestamp()[1]))
    consumer.close()
    return found


def test_replay_sends_every_click_in_order_within_its_session(cluster: str, topic: str) -> None:
    report = replay(log(1000), bootstrap_servers=cluster, topic=topic)
    assert report.sent == 1000
    found = clicks_in(cluster, topic, 1000)
    for session in range(5):
        sent = [one for one in log(1000) if one[0] == f"s{session}"]
        assert [(c.session_id, c.item_id, c.ts, c.type) for c in found if c.session_id == f"s{session}"] == sent


def test_replay_limit_ends_it_early_without_reading_on(cluster: str, topic: str) -> None:
    source = log(100)
    assert replay(source, bootstrap_servers=cluster, topic=topic, limit=10).sent == 10
    assert next(source)[1] == "i10"


def test_replay_empty_log_sends_nothing(cluster: str, topic: str) -> None:
    assert replay(iter(()), bootstrap_servers=cluster, topic=topic).sent == 0


def test_replay_now_puts_the_time_of_sending_into_the_clicks(cluster: str, topic: str) -> None:
    before = time.time_ns() // 1_000_000
    replay(log(3), bootstrap_servers=cluster, topic=topic, now=True)
    assert all(before <= click.ts <= before + 60_000 for click in clicks_in(cluster, topic, 3))


def test_replay_rate_is_kept(cluster: str, topic: str) -> None:
    report = replay(log(200), bootstrap_servers=cluster, topic=topic, rate=400)
    assert 0.45 < report.seconds < 5
    assert report.clicks_per_s <= 450


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0.0}, {"rate": -1.0}, {"rate": float("nan")}, {"rate": 1e-300}, {"rate": float("inf")}, {"limit": -1}],
)
def test_replay_bad_rate_or_limit_raises_config_error(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        replay(log(1), bootstrap_servers=NOBODY, **wrong)  # type: ignore[arg-type]


@pytest.mark.waits
def test_replay_without_a_broker_raises_broker_unavailable() -> None:
    with pytest.raises(BrokerUnavailable):
        replay(log(1), bootstrap_servers=NOBODY, timeout_s=0.3)


def recommendation(session_id: str) -> Recommendation:
    return Recommendation(session_id, recommended([("a", 0.5)]), "1", "default", False, Source("clicks", 0, 1), 1, 2)


def messages(*sessions: str) -> list[tuple[bytes, bytes | None]]:
    return [(session.encode(), encode(recommendation(session))) for session in sessions]


def test_watch_from_the_beginning_yields_up_to_the_limit(cluster: str, topic: str, send: Send) -> None:
    send(topic, [(b"x", b"no list"), (b"x", None), *messages("s1", "s1", "s1")])
    found = list(watch(cluster, topics=Topics(recommendations=topic), from_beginning=True, limit=2))
    assert found == [recommendation("s1")] * 2


def test_watch_idle_ends(cluster: str, topic: str, send: Send) -> None:
    send(topic, messages("s1"))
    assert len(list(watch(cluster, topics=Topics(recommendations=topic), from_beginning=True, idle_s=1.0))) == 1


def test_watch_live_leaves_out_what_was_there_before(cluster: str, topic: str, send: Send) -> None:
    send(topic, messages("old"))
    stopped = threading.Event()

    def keep_sending() -> None:
        while not stopped.wait(0.1):
            send(topic, messages("new"))

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        assert [one.session_id for one in watch(cluster, topics=Topics(recommendations=topic), limit=2)] == [
            "new",
            "new",
        ]
    finally:
        stopped.set()
        sender.join()


def test_watch_stopped_ends(cluster: str, topic: str, send: Send) -> None:
    send(topic, messages("s1"))
    stopped = threading.Event()
    for _ in watch(cluster, topics=Topics(recommendations=topic), from_beginning=True, stopped=stopped):
        stopped.set()


def test_watch_topic_missing_raises_topic_error(cluster: str) -> None:
    with pytest.raises(TopicError, match=r"topics create .* --topic-prefix nobody-made-this\."):
        list(watch(cluster, topics=Topics.named(prefix="nobody-made-this."), timeout_s=0.2))
