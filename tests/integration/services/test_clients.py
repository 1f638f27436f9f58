"""The clients in docs/clients, in three languages, against a real broker: where their clicks land, what they show."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.base import Broker, BrokerMissing
from bench.rig.brokers.external import TEST_GROUPS
from bench.rig.brokers.process import wait_for
from bench.rig.clients import now_ms, read_topic
from bench.rig.snippets import LANGUAGES, client_command
from stream.check.partitioner import crc32_partition, murmur2_partition
from stream.kafka.clients import transactional_options
from stream.messages.contract import Click, Recommendation, Source, decode_event, encode, recommended
from stream.messages.erasures import ErasedLists, erased_headers
from stream.topic_names import Topics
from tests.integration.conftest import PARTITIONS, make_topics

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

SESSIONS = ["s-42", "4711", "Zoë", "買い物", *(f"session-{n}" for n in range(16))]
END = "the end"  # begins the name of a session whose list stands behind all others of its partition


@pytest.fixture(scope="module")
def shop(session_broker: Broker) -> Topics:
    """Topics that the tests of this module share."""
    if not session_broker.real:
        pytest.skip("needs Apache Kafka: librdkafka's in-process cluster does not know other clients")
    names = Topics.named(prefix=f"{TEST_GROUPS}{uuid.uuid4().hex[:10]}.")
    make_topics(session_broker, names, "workers")
    return names


def command(language: str, *words: str) -> list[str]:
    try:
        return client_command(language, *words)
    except BrokerMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("language", LANGUAGES)
def test_clicks_of_a_client_are_sound_and_lie_where_a_worker_expects_them(
    language: str, shop: Topics, session_broker: Broker
) -> None:
    sent = [f"{name}-{language}" for name in SESSIONS] * 2
    clicks = [{"session_id": name, "item_id": "sku-7", "ts": now_ms()} for name in sent]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in clicks)
    words = [*command(language, "send", "clicks"), session_broker.bootstrap, shop.clicks]
    done = subprocess.run(words, input=lines, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr

    there = [one for one in read_topic(session_broker.bootstrap, shop.clicks) if one.key().endswith(language.encode())]
    found = [decode_event(one.value(), one.key(), one.timestamp()[1]) for one in there]
    assert sorted(one.session_id for one in found if isinstance(one, Click)) == sorted(sent)
    places = {one.key(): one.partition() for one in there}
    assert [one.partition() for one in there] == [murmur2_partition(one.key(), PARTITIONS) for one in there]
    assert places != {key: crc32_partition(key, PARTITIONS) for key in places}  # the test can tell them apart
    said = sorted(done.stdout.splitlines())
    assert said == sorted(f"{one.partition()} {one.offset()} {one.key().decode()}" for one in there)


def test_clients_show_each_list_once_and_none_of_an_erased_session(
    shop: Topics, session_broker: Broker, shown: dict[str, Shown]
) -> None:
    send_lists(session_broker.bootstrap, shop.recommendations)
    for language, one in shown.items():
        one.await_ends()
        assert one.of("plain") == [line("plain", 1), line("plain", 2)], language  # a repeat, and one that is late
        assert one.of("given-up") == [], language
        assert one.of("places") == [line("places", 1, "home"), line("places", 1, "basket")], language
        assert one.of("erased") == [line("erased", 1), {"session": "erased", "erased": True}, line("erased", 9)], (
            language
        )
        assert one.of("買い物") == [line("買い物", 1)], language
        assert one.stop() == "", language


class Shown:
    """What a client that runs has printed."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        self._lines: list[dict[str, object]] = []
        self._errors: list[str] = []
        self._threads = [threading.Thread(target=read) for read in (self._read, self._hear)]
        for thread in self._threads:
            thread.start()

    def of(self, session: str) -> list[dict[str, object]]:
        return [one for one in self._lines if one["session"] == session]

    def await_ends(self) -> None:
        """Return when it has shown the last list of every partition."""

        def is_there() -> bool:
            assert self._process.poll() is None, self._errors
            return all(self.of(f"{END} {number}") for number in range(PARTITIONS))

        wait_for("a client to show all lists", is_there, 120)

    def stop(self) -> str:
        """End it as a supervisor would; what it complained of on the way, but for its libraries' notices."""
        self._process.terminate()
        self._process.wait(30)
        for thread in self._threads:
            thread.join()
        return "".join(one for one in self._errors if "Exception" in one or "Traceback" in one)

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(json.loads(one) for one in self._process.stdout)

    def _hear(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


@pytest.fixture
def shown(shop: Topics, session_broker: Broker) -> Iterator[dict[str, Shown]]:
    """A client of each language, side by side, each with a group of its own."""
    words = {one: command(one, "read", "lists") for one in LANGUAGES}
    rest = [session_broker.bootstrap, shop.recommendations]
    clients = {one: Shown([*words[one], rest[0], f"{shop.prefix}{one}", rest[1]]) for one in LANGUAGES}
    yield clients
    for client in clients.values():
        client.stop()


def line(session: str, offset: int, placement: str = "") -> dict[str, object]:
    return {"session": session, "placement": placement, "offset": offset, "items": [f"sku-{offset}", "sku-é"]}


def send_lists(bootstrap: str, topic: str) -> None:
    """As workers do, compressed and in transactions, with what a crash would repeat."""
    producer = Producer(transactional_options(bootstrap) | {"transactional.id": topic})
    producer.init_transactions(60)

    def send(session: str, offset: int, placement: str = "", partition: int = -1) -> None:
        items = recommended([(f"sku-{offset}", 2.0), ("sku-é", 1.0)])
        source = Source("clicks", 0, offset)
        found = Recommendation(session, items, "1", "default", False, source, 0, 0, placement=placement)
        producer.produce(topic, encode(found), session.encode(), partition)

    def erase(session: str, offset: int) -> None:
        headers = erased_headers(ErasedLists(Source("clicks", 0, offset), 1))
        producer.produce(topic, None, session.encode(), headers=headers)

    for commits in (True, False, True):
        producer.begin_transaction()
        if not commits:
            for session in ("plain", "given-up"):
                send(session, 7)
            producer.flush()
            producer.abort_transaction(60)
            continue
        for offset in (1, 2, 1, 2):
            send("plain", offset)
        for placement in ("home", "basket", "home"):
            send("places", 1, placement)
        send("erased", 1)
        erase("erased", 5)
        send("erased", 1)  # read again by a worker that died before it committed
        erase("erased", 5)
        send("erased", 9)
        send("買い物", 1)
        producer.commit_transaction(60)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        send(f"{END} {partition}", 0, partition=partition)
    producer.commit_transaction(60)
