"""What a change of the topics means to a worker."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from bench.rig.brokers.in_process import InProcessBroker
from stream.config import StreamConfig
from stream.errors import BrokerUnavailable
from stream.kafka.look import Topic
from stream.kafka.surroundings import Surroundings, compare
from stream.topic_names import Topics

CONFIG = StreamConfig(bootstrap_servers="127.0.0.1:1", registry="nowhere", group="shop")
CHANGELOG = CONFIG.changelog_topic
BEFORE = {
    name: Topic(4, f"old {name}") for name in ("clicks", "recommendations", "clicks.rejected", "models", CHANGELOG)
}


def remade(*names: str) -> dict[str, Topic]:
    return BEFORE | {name: Topic(4, f"new {name}") for name in names}


def words(now: dict[str, Topic]) -> tuple[str, str, str, int]:
    change = compare(CONFIG, BEFORE, now)
    assert change is not None
    return change.kind, change.topic, str(change.error), change.error.exit_code


def test_compare_of_topics_that_are_as_they_were_finds_nothing() -> None:
    assert compare(CONFIG, BEFORE, dict(BEFORE)) is None


def test_compare_of_a_cluster_without_identities_finds_nothing_remade() -> None:
    assert compare(CONFIG, BEFORE, {name: Topic(4) for name in BEFORE}) is None


@pytest.mark.parametrize("name", BEFORE)
def test_compare_missing_topic_says_how_to_make_it(name: str) -> None:
    kind, topic, text, code = words({other: found for other, found in BEFORE.items() if other != name})
    assert (kind, topic, code) == ("missing", name, 2)
    assert "nextclick topics create --bootstrap-servers HOST --partitions N --group shop" in text
    assert ("--reset-state" in text) == (name == "clicks"), "the sessions of the old clicks are still there"


@pytest.mark.parametrize("gone", ["clicks", "models"])
def test_compare_gives_commands_for_the_shops_own_names(gone: str) -> None:
    config = StreamConfig(bootstrap_servers="a:1", registry="nowhere", topics=Topics.named(prefix="shop."))
    before = {name: Topic(4, name) for name in config.topics.all(config.group)}
    missing = compare(config, before, {name: topic for name, topic in before.items() if name != f"shop.{gone}"})
    assert missing is not None
    assert "--group nextclick --topic-prefix shop.`" in str(missing.error)
    remade = compare(config, before, before | {"shop.models": Topic(4, "new")})
    assert remade is not None
    assert "models promote VERSION --bootstrap-servers HOST --topic-prefix shop.`" in str(remade.error)


def test_compare_with_everything_missing_names_all_and_no_state_to_reset() -> None:
    _, _, text, _ = words({})
    assert all(name in text for name in BEFORE)
    assert "--reset-state" not in text


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("clicks", "--reset-state"),
        (CHANGELOG, "the sessions' states are gone"),
        ("models", "nextclick models promote"),
        ("recommendations", "the next worker writes into the new one"),
    ],
)
def test_compare_topic_made_again_says_what_became_of_its_content(name: str, advice: str) -> None:
    kind, topic, text, code = words(remade(name))
    assert (kind, topic, code) == ("remade", name, 2)
    assert advice in text


def test_compare_clicks_and_states_made_again_need_no_reset() -> None:
    _, topic, text, _ = words(remade("clicks", CHANGELOG, "models"))
    assert topic == CHANGELOG
    assert "--reset-state" not in text
    assert "clicks, models" in text


def test_compare_more_partitions_of_clicks_than_states_gives_the_command() -> None:
    kind, topic, text, code = words(BEFORE | {"clicks": Topic(6, "old clicks")})
    assert (kind, topic, code) == ("partitions", "clicks", 2)
    assert f"kafka-topics --alter --topic {CHANGELOG} --partitions 6" in text


def test_compare_more_partitions_of_both_ends_the_worker_for_the_next_one() -> None:
    now = BEFORE | {"clicks": Topic(6, "old clicks"), CHANGELOG: Topic(6, f"old {CHANGELOG}")}
    assert "had 4 when the worker started" in words(now)[2]
    assert compare(CONFIG, now, now) is None, "which is at home there"


@pytest.mark.waits
def test_look_at_the_in_process_cluster_finds_topics_without_identities() -> None:
    broker = InProcessBroker()
    broker.start()
    config = StreamConfig(bootstrap_servers=broker.bootstrap, registry="nowhere")
    surroundings = Surroundings(config)
    surroundings._topics._admin.list_topics("clicks", timeout=10)
    found = surroundings.look()
    broker.close()
    assert found == {"clicks": Topic(4)}


def test_look_without_a_broker_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.kafka.look._ANSWER_S", 0.5)
    config = StreamConfig(
        bootstrap_servers="127.0.0.1:1", registry="nowhere", kafka={"socket.timeout.ms": "300", "log_level": "0"}
    )
    with pytest.raises(BrokerUnavailable, match="cannot be looked at"):
        Surroundings(config).look()


def test_look_that_was_overtaken_by_a_pause_of_the_process_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is over before the client's thread could hand over the answer."""
    admin = SimpleNamespace(
        list_topics=lambda timeout: SimpleNamespace(cluster_id="real"),
        describe_topics=lambda names, request_timeout: {"clicks": Future()},
    )
    monkeypatch.setattr("stream.kafka.look.build_admin", lambda *_: admin)
    monkeypatch.setattr("stream.kafka.look._ANSWER_S", 0.01)
    with pytest.raises(BrokerUnavailable, match="no answer in time"):
        Surroundings(CONFIG).look()
