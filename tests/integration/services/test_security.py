"""Over TLS and with a password: every command works, a refusal is told within seconds, and no secret is ever shown."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.process import tail, wait_for
from bench.rig.brokers.secure import GUEST, PASSWORD, USER, SecureBroker, make_authority
from bench.rig.brokers.tokens import TokenServer, write_signer
from bench.rig.workers import cli
from export.registry.registry import Registry
from stream.topic_names import Topics
from tests.integration.conftest import PARTITIONS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

REFUSED_S = 25.0  # for a command to say so: seconds, and the start of five processes on a busy machine


@pytest.fixture(scope="module")
def secure() -> Iterator[SecureBroker]:
    """A broker of this module's own, as it needs another listener. It always runs on the JVM."""
    try:
        broker = SecureBroker()
    except BrokerMissing as error:
        pytest.skip(str(error))
    broker.start()
    yield broker
    broker.close()


def client_file(folder: Path, broker: SecureBroker, mechanism: str, **changes: str) -> str:
    """A file of client options; the path of it."""
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.username": USER,
        "sasl.password": PASSWORD,
        "ssl.ca.location": str(broker.authority),
        **{name.replace("_", "."): value for name, value in changes.items()},
    }
    path = folder / "client.properties"
    lines = ["# what the clients need", "", *(f"{name}={value}" for name, value in options.items())]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """A server of tokens, and a signer for MSK in the place of Amazon's."""
    server = TokenServer(USER, secret=PASSWORD)
    paths = os.pathsep.join([str(write_signer(tmp_path, USER)), str(Path.cwd())])
    monkeypatch.setattr("bench.rig.workers._environment", lambda: {**os.environ, "PYTHONPATH": paths})
    yield server
    server.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "tokens"])
def test_every_command_works_over_sasl_ssl_and_shows_no_password_at_level_debug(
    secure: SecureBroker,
    tmp_path: Path,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
    naming: tuple[str, ...],
    mechanism: str,
    tokens: TokenServer,
) -> None:
    options: tuple[str, ...] = ("--kafka-config", client_file(tmp_path, secure, mechanism))
    of_worker = options
    if mechanism == "tokens":  # of OpenID Connect for the commands, of Amazon's signer for the worker
        oidc = {name.replace(".", "_"): value for name, value in tokens.options.items()}
        options = ("--kafka-config", client_file(tmp_path, secure, "OAUTHBEARER", **oidc))
        (tmp_path / "msk").mkdir()
        msk = client_file(tmp_path / "msk", secure, "AWS_MSK_IAM", aws_region="eu-west-1")
        of_worker = ("--kafka-config", msk, "--log-format", "json")
    there = ("--bootstrap-servers", secure.secure)
    outputs = []

    def run(*command: str) -> str:
        done = cli(*command, *there, *options, *naming)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout + done.stderr)
        return done.stdout

    run("topics", "create", "--partitions", str(PARTITIONS), "--group", group)
    worker = start_worker(secure.secure, *of_worker, "--log-level", "debug")
    worker.await_ready(PARTITIONS)
    log = tmp_path / "clicks.csv"
    rows = [f"s{number % 10},item-{number % 20 + 1},{1_700_000_000_000 + number}" for number in range(200)]
    log.write_text("\n".join(["session_id,item_id,timestamp", *rows]))
    assert json.loads(run("replay", "--data", str(log), "--json").splitlines()[-1])["sent"] == 200
    watched = run("watch", "--from-beginning", "--limit", "10", "--json").splitlines()
    assert {json.loads(line)["session_id"][0] for line in watched} == {"s"}
    run("models", "promote", "2", "--registry", registry.url)
    worker.await_model("2")
    shown = json.loads(
        run("status", "--group", group, "--registry", registry.url, "--worker", f"127.0.0.1:{worker.port}", "--json")
    )
    assert [one["partitions"] for one in shown["members"]] == [list(range(PARTITIONS))]
    assert [(one["live"], one["announced"]) for one in shown["variants"]] == [("2", "2")]
    assert [(one["ready"], one["model"]) for one in shown["workers"]] == [(True, "2")]
    assert shown["problems"] == []
    assert worker.stop() == 0
    logged = worker.log.read_text()
    if mechanism == "tokens":
        assert {"time", "level", "logger", "message"} <= set.intersection(
            *(set(json.loads(line)) for line in logged.splitlines())
        ), "each line is an object"
    said = logged + "".join(outputs)
    assert "aiokafka" in said, "level debug was in effect"
    assert_no_secret(said)
    assert "eyJhbGciOiAibm9uZSI" not in said, "no token either"


def test_password_from_the_environment_reaches_both_clients(
    secure: SecureBroker,
    tmp_path: Path,
    start_worker: StartWorker,
    group: str,
    naming: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = client_file(tmp_path, secure, "PLAIN", sasl_password="overruled")
    variables = {"NEXTCLICK_KAFKA_CONFIG": file, "NEXTCLICK_KAFKA_SASL_PASSWORD": PASSWORD}
    monkeypatch.setattr("bench.rig.workers._environment", lambda: {**os.environ, **variables})
    done = cli("topics", "create", "--bootstrap-servers", secure.secure, "--group", group, *naming)
    assert done.returncode == 0, done.stderr
    start_worker(secure.secure).await_ready()


@pytest.mark.parametrize("wrong", ["password", "authority"])
def test_commands_refused_say_so_within_seconds(
    secure: SecureBroker, tmp_path: Path, registry: Registry, wrong: str
) -> None:
    (tmp_path / "other").mkdir()
    changes = {"sasl_password": "wrong-0815"}
    if wrong == "authority":
        changes = {"ssl_ca_location": str(make_authority(tmp_path / "other"))}
    file = client_file(tmp_path, secure, "SCRAM-SHA-256", **changes)
    log = tmp_path / "clicks.csv"
    log.write_text("session_id,item_id,timestamp\ns,item-1,1700000000000")
    commands = {
        "worker": ("worker", "--registry", registry.url, "--web-port", "0"),
        "topics": ("topics", "create"),
        "watch": ("watch",),
        "replay": ("replay", "--data", str(log)),
        "promote": ("models", "promote", "2", "--registry", registry.url),
    }
    there = ("--bootstrap-servers", secure.secure, "--kafka-config", file)

    def run(words: tuple[str, ...]) -> tuple[float, subprocess.CompletedProcess[str]]:
        begun = time.monotonic()
        done = cli(*words, *there)
        return time.monotonic() - begun, done

    with ThreadPoolExecutor() as side_by_side:
        results = dict(zip(commands, side_by_side.map(run, commands.values()), strict=True))
    for command, (seconds, done) in results.items():
        assert seconds < REFUSED_S, command
        assert done.returncode == 2, (command, done.stderr)
        assert "do not trust each other" in done.stderr, command
        assert ("uthentication" if wrong == "password" else "certificate") in done.stderr, command
        assert "Traceback" not in done.stderr, command
        assert "wrong-0815" not in done.stderr, command
        assert_no_secret(done.stdout + done.stderr)


def test_supervisor_of_refused_workers_ends_and_tells_it(
    secure: SecureBroker, tmp_path: Path, start_worker: StartWorker
) -> None:
    file = client_file(tmp_path, secure, "PLAIN", sasl_password="wrong-0815")
    supervisor = start_worker(secure.secure, "--kafka-config", file, "--processes", "2")
    wait_for("the supervisor to end", lambda: supervisor.process.poll() is not None, REFUSED_S)
    assert supervisor.process.returncode == 2, tail(supervisor.log)
    assert_no_secret(supervisor.log.read_text())


def test_check_finds_what_a_guest_may_not_do_and_what_is_wrong_with_topics_and_clicks(
    secure: SecureBroker,
    tmp_path: Path,
    registry: Registry,
    group: str,
    names: Topics,
    naming: tuple[str, ...],
) -> None:
    admin = AdminClient({"bootstrap.servers": secure.bootstrap, "log_level": 0})
    there = ("--bootstrap-servers", secure.bootstrap, *naming, "--group", group)
    assert cli("topics", "create", *there).returncode == 0
    changed = {
        names.changelog(group): {"cleanup.policy": "delete", "min.insync.replicas": "2"},
        names.clicks: {"retention.ms": "60000"},
    }
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in of.items()
            ],
        )
        for topic, of in changed.items()
    ]
    for answer in admin.incremental_alter_configs(resources).values():
        answer.result(20)
    may = [
        (names.clicks, AclOperation.READ),
        (names.changelog(group), AclOperation.DESCRIBE),
        (names.changelog(group), AclOperation.DESCRIBE_CONFIGS),
    ]
    allowed = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{GUEST}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for topic, operation in may
    ]
    for answer in admin.create_acls(allowed).values():
        answer.result(20)
    producer = Producer({"bootstrap.servers": secure.bootstrap, "log_level": 0})  # its partitioner is CRC32
    for number in range(40):
        click = {"session_id": f"s{number}", "item_id": "item-1", "ts": int(time.time())}
        producer.produce(names.clicks, json.dumps(click), f"s{number}")
    assert producer.flush(20) == 0

    def found(*options: str) -> set[tuple[str, str]]:
        words = ("--registry", registry.url, "--group", group, *naming, "--json", *options)
        done = cli("check", *words)
        assert done.returncode == 2, done.stdout + done.stderr
        assert_no_secret(done.stdout + done.stderr)
        return {(one["check"], one["where"]) for one in json.loads(done.stdout)["findings"]}

    changelog = names.changelog(group)
    shape = {("cleanup_policy", changelog), ("min_insync", changelog)}
    assert found("--bootstrap-servers", secure.bootstrap) >= shape | {
        ("retention", names.clicks),
        ("rejected_ts_seconds", names.clicks),
        ("partitioner", names.clicks),
    }
    guest = client_file(tmp_path, secure, "PLAIN", sasl_username=GUEST)
    refused = found("--bootstrap-servers", secure.secure, "--kafka-config", guest, "--guarantee", "exactly-once")
    rights = {where for check, where in refused if check == "rights"}
    assert rights == {
        names.recommendations,
        names.rejected,
        names.models,
        names.items,
        changelog,
        names.prefix + group,
        f"{names.prefix}{group}*",
    }
    assert shape <= refused
    assert {("settings_unread", "broker"), ("partitioner", names.clicks)} <= refused


def assert_no_secret(text: str) -> None:
    assert PASSWORD not in text
    assert "tell=nobody" not in text
