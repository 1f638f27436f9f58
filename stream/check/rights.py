"""What the worker's principal may not do, by what the cluster says of its rights."""

from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException, Producer

from stream.check.facts import Cluster
from stream.check.finding import Finding, error, info
from stream.config import StreamConfig
from stream.kafka.clients import build_client, transactional_options

__all__ = ["check_rights", "check_transactions"]

_PROBE = "/check"  # ends the transactional id that is tried; those of workers begin the same


def check_rights(config: StreamConfig, cluster: Cluster) -> Iterator[Finding]:
    """On the topics and on the group."""
    names = config.topics
    needed = {
        names.clicks: ("READ",),
        names.recommendations: ("WRITE",),
        names.rejected: ("WRITE",),
        config.changelog_topic: ("READ", "WRITE"),
        names.models: ("READ",),
        names.items: ("READ",),
    }
    told = False
    for name, rights in needed.items():
        topic = cluster.topics.get(name)
        if topic is None or topic.rights is None:
            continue
        told = True
        missing = [right for right in rights if not {right, "ALL"} & topic.rights]
        if topic.refused or missing:
            yield _refused("topic", name, ["DESCRIBE", *rights] if topic.refused else missing)
    group = cluster.group
    if group.refused or (group.rights is not None and not {"READ", "ALL"} & group.rights):
        yield _refused("group", config.consumer_group, ["READ"])
    if group.protocol == "consumer":
        yield error(
            "group_protocol",
            config.consumer_group,
            f"the group has {group.members} members of the new protocol (group.protocol=consumer), which workers do "
            "not speak: they can't join it",
            "end those members, or use another --group",
        )
    if not told and not cluster.in_process and cluster.topics:
        yield info("rights_unread", "cluster", "the cluster does not say what this principal may do")


def check_transactions(config: StreamConfig, timeout_s: float) -> Iterator[Finding]:
    """With exactly-once: whether a transactional id like the workers' is allowed. It is tried by taking one, which the
    broker forgets after a week."""
    if config.guarantee != "exactly-once":
        return
    name = f"{config.consumer_group}{_PROBE}"
    options = transactional_options(config.bootstrap_servers, config.kafka) | {"transactional.id": name}
    producer: Producer = build_client(Producer, options)
    try:
        producer.init_transactions(timeout_s)
    except KafkaException as problem:
        found = problem.args[0]
        if found.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            yield _refused("transactional id", f"{config.consumer_group}*", ["WRITE", "DESCRIBE"])
        else:
            yield error(
                "transactions",
                "cluster",
                f"no transaction can be begun: {found.str()}",
                "the topic __transaction_state needs as many brokers as transaction.state.log.replication.factor says",
            )


def _refused(kind: str, name: str, rights: list[str]) -> Finding:
    option = {"topic": "--topic", "group": "--group", "transactional id": "--transactional-id"}[kind]
    plain, pattern = name.removesuffix("*"), " --resource-pattern-type prefixed" if name.endswith("*") else ""
    operations = " ".join(f"--operation {right.title()}" for right in rights)
    return error(
        "rights",
        name,
        f"this principal may not {' and '.join(rights)} the {kind}",
        f"kafka-acls --add --allow-principal User:NAME {operations} {option} {plain}{pattern}",
    )
