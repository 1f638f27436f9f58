"""Topics are made with the right shape, once, and a wrong shape is explained."""

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from bench.rig.brokers.base import Broker
from export.errors import ConfigError
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.topics import check_topics, create_topics, partition_counts, topic_plans
from stream.topic_names import Topics
from tests.stream.kafka.test_clients import NOBODY

GOOD = {"clicks": 3, "recommendations": 3, "clicks.rejected": 3, "models": 1, "shop-sessions-changelog": 3}
OPTIONAL = {"items": 1, "similar": 1, "erasures": 1}


def test_topic_plans_state_and_models_are_compacted() -> None:
    plans = {plan.name: plan for plan in topic_plans(Topics(), partitions=3, group="shop")}
    assert {name: plan.partitions for name, plan in plans.items()} == GOOD | OPTIONAL
    wanted = topic_plans(Topics.named(prefix="a."), partitions=4, group="shop", impressions=True)[-1]
    assert (wanted.name, wanted.partitions, wanted.config["retention.ms"]) == ("a.impressions", 4, "86400000")
    compacted = {name for name, plan in plans.items() if plan.config.get("cleanup.policy") == "compact"}
    assert compacted == {"models", "items", "similar", "shop-sessions-changelog"}


def test_topics_that_are_cleaned_by_time_keep_nothing_much_longer() -> None:
    """Kafka removes a segment once its newest message is old: by default it holds a week of them."""
    plans = {one.name: one.config for one in topic_plans(Topics(), partitions=1, group="g", impressions=True)}
    for name in ("clicks", "recommendations", "clicks.rejected", "impressions"):
        retention, segment = int(plans[name]["retention.ms"]), int(plans[name]["segment.ms"])
        assert segment <= min(retention / 4, 86_400_000), name


def test_check_topics_complete_gives_the_partitions() -> None:
    assert check_topics(GOOD, group="shop") == 3


@pytest.mark.parametrize("name", sorted(GOOD))
def test_check_topics_missing_one_is_named_with_the_command(name: str) -> None:
    with pytest.raises(TopicError, match=rf"missing: {name}; .*topics create"):
        check_topics({other: GOOD[other] for other in GOOD if other != name}, group="shop")


def test_check_topics_state_of_other_partitions_is_explained() -> None:
    with pytest.raises(TopicError, match=r"has 4 partitions, but clicks has 3"):
        check_topics({**GOOD, "shop-sessions-changelog": 4}, group="shop")


@pytest.mark.parametrize(("partitions", "replication"), [(0, 1), (1, 0), (-1, 1)])
def test_create_topics_nothing_asked_for_raises_config_error(partitions: int, replication: int) -> None:
    with pytest.raises(ConfigError):
        create_topics(NOBODY, partitions=partitions, replication=replication)


@pytest.mark.waits
def test_create_topics_without_a_broker_raises_broker_unavailable() -> None:
    with pytest.raises(BrokerUnavailable, match=NOBODY):
        create_topics(NOBODY, partitions=1, timeout_s=0.5)


def test_create_topics_on_the_in_process_cluster_raises_topic_error(cluster: str) -> None:
    with pytest.raises(TopicError, match="could not be made"):
        create_topics(cluster, partitions=1, timeout_s=1.0)


@pytest.mark.broker
@pytest.mark.container
def test_create_topics_on_kafka_makes_them_once(real_broker: Broker, names: Topics, prefix: str) -> None:
    bootstrap = real_broker.bootstrap
    first = create_topics(bootstrap, partitions=3, group="shop", topics=names)
    wanted = {prefix + name: count for name, count in (GOOD | OPTIONAL).items()}
    assert {report.name: report.partitions for report in first if report.created} == wanted
    again = create_topics(bootstrap, partitions=3, group="shop", topics=names)
    assert not any(report.created for report in again)
    assert check_topics(partition_counts(bootstrap), group="shop", topics=names) == 3
    resource = ConfigResource(ResourceType.TOPIC, names.changelog("shop"))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    assert admin.describe_configs([resource])[resource].result()["cleanup.policy"].value == "compact"


@pytest.mark.broker
def test_create_topics_on_kafka_with_other_partitions_is_refused(real_broker: Broker, names: Topics) -> None:
    create_topics(real_broker.bootstrap, partitions=2, group="shop", topics=names)
    with pytest.raises(TopicError, match=r"exists with 2 partitions, not 3.*--partitions 2"):
        create_topics(real_broker.bootstrap, partitions=3, group="shop", topics=names)


@pytest.mark.broker
def test_create_topics_on_kafka_with_models_not_compacted_is_refused(real_broker: Broker, names: Topics) -> None:
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap})
    admin.create_topics([NewTopic(names.models, 1, 1)])[names.models].result(10)
    with pytest.raises(TopicError, match=r"cleanup\.policy=compact"):
        create_topics(real_broker.bootstrap, partitions=2, topics=names)


@pytest.mark.broker
def test_create_topics_on_kafka_with_too_many_replicas_says_so(real_broker: Broker, names: Topics) -> None:
    with pytest.raises(TopicError, match="could not be made"):
        create_topics(real_broker.bootstrap, partitions=1, replication=9, topics=names)
