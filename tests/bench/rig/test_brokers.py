"""What is said when a broker can't be had, which one is chosen, and that the chosen one is what it claims to be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.rig import brokers
from bench.rig.brokers import jars
from bench.rig.brokers.__main__ import main
from bench.rig.brokers.base import KAFKA_VERSION, Broker, BrokerMissing, as_environment, wait_until_answering
from bench.rig.brokers.choose import choose_broker
from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.brokers.jvm import JvmBroker, _archived
from bench.rig.brokers.process import DeadlineExceeded, free_port, wait_for


class Absent(InProcessBroker):
    """A broker that can't be had."""

    def __init__(self) -> None:
        raise BrokerMissing("install it")


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_require_java_not_on_path_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerMissing, match="java is not on the PATH; install a Java runtime, version 17"):
        jars.require_java()


@pytest.mark.slow
def test_require_java_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BrokerMissing, match="java has version 11; install"):
        jars.require_java()


def test_kafka_jars_without_maven_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerMissing, match="mvn is not on the PATH"):
        jars.kafka_jars(tmp_path)


@pytest.mark.slow
def test_kafka_jars_maven_fails_gives_its_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "mvn", "echo 'cannot resolve'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    cache = tmp_path / "cache"
    with pytest.raises(BrokerMissing, match="Maven could not fetch Kafka's jars: cannot resolve"):
        jars.kafka_jars(cache)
    assert not list(cache.iterdir())


def test_pom_names_the_version_of_the_image() -> None:
    assert re.findall(r"kafka_2.13</artifactId>\s*<version>([^<]+)", jars.POM.read_text()) == [KAFKA_VERSION]


@pytest.mark.waits
def test_choose_broker_first_is_missing_takes_the_next_and_says_why() -> None:
    choice = choose_broker({}, {"absent": Absent, "mock": InProcessBroker})
    assert choice.broker is not None
    assert not choice.broker.real
    assert choice.missing == ["absent: install it"]
    choice.broker.close()


def test_choose_broker_asked_for_is_missing_takes_no_other() -> None:
    choice = choose_broker({"NEXTCLICK_BROKER": "absent"}, {"absent": Absent, "mock": InProcessBroker})
    assert choice.broker is None


def test_choose_broker_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be one of testcontainers, jvm, mock"):
        choose_broker({"NEXTCLICK_BROKER": "pulsar"})


@pytest.mark.slow
def test_choose_broker_dead_address_is_missing_within_seconds() -> None:
    address = f"127.0.0.1:{free_port()}"
    choice = choose_broker({"KAFKA_BOOTSTRAP_SERVERS": address})
    assert choice.broker is None
    assert address in choice.missing[0]


def test_wait_until_answering_process_ended_fails_at_once() -> None:
    with pytest.raises(DeadlineExceeded, match="ended while it was starting"):
        wait_until_answering(f"127.0.0.1:{free_port()}", 60, lambda: False)


def test_as_environment_names_are_those_of_the_image() -> None:
    assert as_environment({"node.id": "1", "a_b.c-d": "2"}) == {"KAFKA_NODE_ID": "1", "KAFKA_A__B_C___D": "2"}


@pytest.mark.slow
def test_image_entry_point_turns_variables_into_properties(tmp_path: Path) -> None:
    script = (Path(brokers.__file__).with_name("docker") / "run.sh").read_text()
    (tmp_path / "run.sh").write_text(script.replace("/opt/kafka", str(tmp_path)))
    program(tmp_path, "java", "exit 0")
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "KAFKA_NODE_ID": "1",
        "KAFKA_A__B_C___D": "x=y z",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
        "OTHER": "1",
    }
    subprocess.run(["bash", str(tmp_path / "run.sh")], env=environment, check=True, timeout=30)
    properties = (tmp_path / "config" / "server.properties").read_text().splitlines()
    assert sorted(properties) == ["a_b.c-d=x=y z", "node.id=1"]


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
def test_broker_test_skipped_is_a_failed_run_in_ci_only(ci: str, outcome: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"{__file__}::test_broker_cleaned_has_no_topics",
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "CI": ci, "NEXTCLICK_BROKER": "mock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome in done.stdout, done.stdout
    assert "in-process cluster" in done.stdout, "the summary names the broker"
    assert (done.returncode == 0) is (ci == "")


@pytest.mark.broker
@pytest.mark.container
def test_broker_stopped_and_started_keeps_topics_and_messages(restartable_broker: Broker, prefix: str) -> None:
    kept = f"{prefix}kept"
    _make_topic(restartable_broker, kept)
    producer = Producer({"bootstrap.servers": restartable_broker.bootstrap, "message.timeout.ms": 10_000})
    producer.produce(kept, b"1")
    assert producer.flush(15) == 0
    restartable_broker.stop()
    restartable_broker.start()
    consumer = Consumer({"bootstrap.servers": restartable_broker.bootstrap, "group.id": "it-kept"})
    consumer.assign([TopicPartition(kept, 0, 0)])
    message = consumer.poll(15)
    consumer.close()
    assert message is not None
    assert message.value() == b"1"


@pytest.mark.broker
@pytest.mark.container
def test_broker_commits_a_transaction(real_broker: Broker, prefix: str) -> None:
    """It writes the markers through a listener of its own; where it can't reach that, no commit ends."""
    bought = f"{prefix}bought"
    _make_topic(real_broker, bought)
    producer = Producer({"bootstrap.servers": real_broker.bootstrap, "transactional.id": bought})
    producer.init_transactions(15)
    for _ in range(2):  # the second begins only when the first is complete
        producer.begin_transaction()
        producer.produce(bought, b"1")
        producer.commit_transaction(15)


def test_jvm_broker_reads_its_classes_from_the_archive_where_there_is_one(tmp_path: Path) -> None:
    assert _archived(tmp_path / "jars") == ()
    jars.kafka_archive(tmp_path / "jars").touch()
    assert _archived(tmp_path / "jars") == (f"-XX:SharedArchiveFile={tmp_path / 'jars.jsa'}",)


@pytest.mark.broker
def test_jvm_broker_killed_from_outside_is_named_with_its_status() -> None:
    try:
        broker = JvmBroker()
    except BrokerMissing as error:
        pytest.skip(str(error))
    broker.start()
    try:
        assert broker._process is not None
        broker._process.kill()
        broker._process.wait()
        with pytest.raises(DeadlineExceeded, match="the broker ended by itself with -9"):
            broker.clean()
    finally:
        broker.close()


@pytest.mark.broker
@pytest.mark.container
def test_broker_cleaned_has_no_topics(restartable_broker: Broker) -> None:
    _make_topic(restartable_broker, "clicks")
    restartable_broker.clean()
    admin = AdminClient({"bootstrap.servers": restartable_broker.bootstrap})
    assert "clicks" not in admin.list_topics(timeout=10).topics


def _make_topic(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    try:
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(15)
    except KafkaException as error:  # a client of the test before may have had it made again
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    wait_for("the topic to be visible", lambda: name in admin.list_topics(timeout=10).topics)


def test_command_without_any_broker_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Broker:
        raise BrokerMissing("java is not on the PATH; install one")

    monkeypatch.setenv("NEXTCLICK_BROKER", "jvm")
    assert main({"jvm": missing}) == 2
    assert "jvm: java is not on the PATH; install one" in capsys.readouterr().err
