"""Every misconfiguration that is made here is found, by its name, where it is; and a sound shop has none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from bench.rig.toy import toy_bundle
from export.experiments.experiment import Experiment, Variant
from stream.check.facts import GroupFacts
from stream.check.finding import exit_code
from stream.check.models import AnnouncedNow
from stream.check.partitioner import crc32_partition, murmur2_partition
from stream.errors import AccessRefused, BrokerUnavailable
from stream.messages.contract import ModelAnnouncement
from tests.stream.check.world import CHANGELOG, NOW_MS, PARTITIONS, World

Seed = Callable[[World], None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bundle(tmp_path_factory.mktemp("bundle"), items=40, k_max=30).path


@pytest.fixture
def world(tmp_path: Path, bundle: Path) -> World:
    return World(tmp_path, bundle)


def settings(name: str, **changed: str) -> Seed:
    return lambda world: world.set_topic(name, settings={key.replace("_", "."): it for key, it in changed.items()})


def topic(name: str, **changed: object) -> Seed:
    return lambda world: world.set_topic(name, **changed)


def unreachable(world: World) -> None:
    world.refusal = BrokerUnavailable("no Kafka broker at broker:9092 within 5 s")


def wrong_password(world: World) -> None:
    world.refusal = AccessRefused("the broker at broker:9092 and this client do not trust each other")


def broker_range(world: World) -> None:
    world.cluster = replace(world.cluster, settings={**world.cluster.settings, "group.min.session.timeout.ms": "20000"})


def new_protocol(world: World) -> None:
    world.cluster = replace(world.cluster, group=GroupFacts(protocol="consumer", members=2))


def group_refused(world: World) -> None:
    world.cluster = replace(world.cluster, group=GroupFacts(rights=frozenset(), refused=True))


def two_partitions(world: World) -> None:
    world.sample += [world.click("s1", at=number) for number in range(PARTITIONS)]


def crc32(world: World) -> None:
    world.sample = [world.click(f"s{n}", at=crc32_partition(f"s{n}".encode(), PARTITIONS)) for n in range(40)]


def clock_ahead(world: World) -> None:
    world.sample.append(world.click("s7", sent=NOW_MS + 7_200_000))


def record_seconds(world: World) -> None:
    world.sample.append(world.click("s7", sent=NOW_MS // 1000))


def seconds(world: World) -> None:
    world.sample = [world.click(f"s{number}", ts=NOW_MS // 1000) for number in range(40)]


def no_keys(world: World) -> None:
    world.sample += [world.click(f"t{number}", key=None, at=0) for number in range(5)]


def wrong_keys(world: World) -> None:
    world.sample += [world.click(f"t{number}", key=b"user-7") for number in range(5)]


def no_registry(world: World) -> None:
    world.options["registry"] = world.registry.url + "-elsewhere"


def damaged(world: World) -> None:
    graph = world.registry.fetch("1") / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:100])


def nothing_live(world: World) -> None:
    world.options["variant"] = "blue"


def short_lists(world: World) -> None:
    world.options["k"] = 35


def announced_elsewhere(world: World) -> None:
    world.announced.take(ModelAnnouncement("9", "s3://other/9", "ab" * 32))


def announced_other(world: World) -> None:
    world.announced.take(ModelAnnouncement("1", "s3://other/1", "ab" * 32))


def unreadable(world: World) -> None:
    world.announced.unreadable.append("not a model announcement: JSON is malformed")


def experiment(world: World) -> None:
    variants = Variant("a", share=5000), Variant("b", version="8", share=5000)
    world.announced.take(Experiment("colours", variants).check())


def policy(world: World) -> None:
    from stream.path.policy import PolicyConfig

    file = Path(world.registry.url) / "policy.toml"
    file.write_text("[policies.main]\nno_such_word = 3\n")
    world.options["policy"] = PolicyConfig(file=file)


def provider(world: World) -> None:
    world.options["provider"] = "cuda"


def mechanism(world: World) -> None:
    world.options["kafka"] = {"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}


def redis_away(world: World) -> None:
    world.options["redis_url"] = "redis://127.0.0.1:1/0"


SEEDED: dict[str, tuple[Seed, str, str, str]] = {  # severity, check, where
    "no broker": (unreachable, "error", "broker_unreachable", "kafka"),
    "wrong password": (wrong_password, "error", "access_refused", "kafka"),
    "mechanism of one client only": (mechanism, "error", "client_options", "kafka"),
    "topic missing": (lambda it: it.drop_topic("clicks.rejected"), "error", "topic_missing", "clicks.rejected"),
    "partitions differ": (topic(CHANGELOG, partitions=6), "error", "partitions_differ", CHANGELOG),
    "state deleted": (settings(CHANGELOG, cleanup_policy="delete"), "error", "cleanup_policy", CHANGELOG),
    "state deleted early": (
        settings(CHANGELOG, cleanup_policy="compact,delete", retention_ms="60000"),
        "error",
        "cleanup_policy",
        CHANGELOG,
    ),
    "models deleted": (settings("models", cleanup_policy="delete"), "error", "cleanup_policy", "models"),
    "clicks compacted": (settings("clicks", cleanup_policy="compact"), "error", "cleanup_policy", "clicks"),
    "one copy": (
        topic("clicks", replication=1, in_sync=1, settings={"min.insync.replicas": "1"}),
        "warning",
        "replication",
        "clicks",
    ),
    "more in sync than copies": (settings(CHANGELOG, min_insync_replicas="4"), "error", "min_insync", CHANGELOG),
    "all in sync": (settings(CHANGELOG, min_insync_replicas="3"), "warning", "min_insync", CHANGELOG),
    "copies are behind": (topic("recommendations", in_sync=1), "error", "not_in_sync", "recommendations"),
    "a partition without leader": (topic("clicks", leaderless=1), "error", "no_leader", "clicks"),
    "unclean elections": (
        settings(CHANGELOG, unclean_leader_election_enable="true"),
        "warning",
        "unclean_election",
        CHANGELOG,
    ),
    "short retention": (settings("clicks", retention_ms="600000"), "warning", "retention", "clicks"),
    "times of the broker": (
        settings("clicks", message_timestamp_type="LogAppendTime"),
        "warning",
        "timestamp_type",
        "clicks",
    ),
    "small clicks": (settings("clicks", max_message_bytes="10000"), "warning", "max_message_bytes", "clicks"),
    "small batches": (settings(CHANGELOG, max_message_bytes="100000"), "error", "max_message_bytes", CHANGELOG),
    "small copies": (
        settings("clicks", max_message_bytes="5000000"),
        "error",
        "max_message_bytes",
        "clicks.rejected",
    ),
    "may not read": (topic("clicks", rights=frozenset({"DESCRIBE"})), "error", "rights", "clicks"),
    "may not write": (topic("recommendations", rights=frozenset({"READ"})), "error", "rights", "recommendations"),
    "may not describe": (topic("models", refused=True, rights=frozenset()), "error", "rights", "models"),
    "may not join": (group_refused, "error", "rights", "shop"),
    "group of the new protocol": (new_protocol, "error", "group_protocol", "shop"),
    "session time-out": (broker_range, "error", "session_timeout", "broker"),
    "a session in two partitions": (two_partitions, "error", "session_split", "clicks"),
    "partitioner of librdkafka": (crc32, "warning", "partitioner", "clicks"),
    "a clock ahead": (clock_ahead, "warning", "clock_skew", "clicks"),
    "records in seconds": (record_seconds, "warning", "record_time", "clicks"),
    "ts in seconds": (seconds, "error", "rejected_ts_seconds", "clicks"),
    "no keys": (no_keys, "warning", "rejected_key_missing", "clicks"),
    "wrong keys": (wrong_keys, "warning", "rejected_key_mismatch", "clicks"),
    "no registry": (no_registry, "error", "registry_missing", ""),
    "damaged graph": (damaged, "error", "version_unusable", "version 1"),
    "short lists": (short_lists, "error", "version_unusable", "version 1"),
    "nothing live": (nothing_live, "warning", "nothing_live", ""),
    "announced and not there": (announced_elsewhere, "error", "announced_missing", "models"),
    "announced and altered": (announced_other, "error", "announced_altered", "models"),
    "announcement unreadable": (unreadable, "warning", "announcement_unreadable", "models"),
    "experiment of no version": (experiment, "error", "experiment_version", "experiment colours"),
    "policy": (policy, "error", "policy", ""),
    "provider": (provider, "error", "provider", "--provider cuda"),
    "redis away": (redis_away, "error", "redis_away", "redis"),
}


def test_sound_shop_has_no_findings_but_that_its_model_loads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = world.findings(monkeypatch)
    assert [(one.severity, one.check) for one in found] == [("info", "version_loads")]
    assert exit_code(found) == 0


@pytest.mark.parametrize("seeded", SEEDED)
def test_misconfiguration_is_found_with_its_place_and_a_remedy(
    world: World, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, severity, check, where = SEEDED[seeded]
    seed(world)
    found = world.findings(monkeypatch)
    hits = [
        one for one in found if one.check == check and one.severity == severity and (not where or one.where == where)
    ]
    assert hits, found
    assert exit_code(found) == 2 or severity == "warning"
    assert exit_code(found) > 0
    assert all(one.remedy for one in hits)
    others = {(one.check, one.severity) for one in found if one.severity != "info"} - {(check, severity)}
    allowed = {("partitioner", "warning"), ("version_unusable", "error"), ("nothing_live", "warning")}
    assert others <= allowed, "one thing is wrong, and one is found"


def test_clicks_from_before_partitions_were_added_are_of_no_wrong_partitioner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sample = [world.click(f"s{n}", at=murmur2_partition(f"s{n}".encode(), 3)) for n in range(40)]
    world.sample += [world.click(f"t{n}") for n in range(10)]
    found = world.findings(monkeypatch)
    (told,) = (one for one in found if one.check == "partitions_added")
    assert "among 3 partitions" in told.what
    assert exit_code(found) == 0


def test_transactional_id_that_is_refused_is_told_with_the_right_it_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def __init__(self, options: dict[str, object]) -> None:
            assert options["transactional.id"] == "shop/check"

        def init_transactions(self, _timeout_s: float) -> None:
            raise KafkaException(KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))

    monkeypatch.setattr("stream.check.rights.Producer", Refused)
    world.options["guarantee"] = "exactly-once"
    (found,) = [one for one in world.findings(monkeypatch) if one.severity == "error"]
    assert found.check == "rights"
    assert "--transactional-id shop --resource-pattern-type prefixed" in found.remedy


def test_check_without_an_announcement_says_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.announced = AnnouncedNow()
    assert exit_code(world.findings(monkeypatch)) == 0
