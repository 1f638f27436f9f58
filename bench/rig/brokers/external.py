"""A cluster somebody else runs, named by KAFKA_BOOTSTRAP_SERVERS. The tests remove only what they made."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from bench.rig.brokers.base import SUITE_TOPICS, Broker, BrokerMissing, wait_until_answering
from bench.rig.brokers.process import DeadlineExceeded

__all__ = ["TEST_GROUPS", "ExternalBroker"]

TEST_GROUPS = "it-"  # how the names of the tests' consumer groups begin, and so their changelog topics
_ANSWER_S = 8.0  # a cluster that runs already answers sooner


class ExternalBroker(Broker):
    """It must hold none of the product's topics at the start: they could be somebody's."""

    real = True
    restartable = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.label = f"the cluster at {bootstrap} (KAFKA_BOOTSTRAP_SERVERS)"

    def start(self) -> None:
        """Check that it answers and that its topics are not in the way (BrokerMissing)."""
        try:
            wait_until_answering(self.bootstrap, _ANSWER_S)
        except DeadlineExceeded as error:
            raise BrokerMissing(f"no broker answers at {self.bootstrap} (KAFKA_BOOTSTRAP_SERVERS)") from error
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        taken = sorted(set(SUITE_TOPICS) & set(admin.list_topics(timeout=10).topics))
        if taken:
            raise BrokerMissing(
                f"the cluster at {self.bootstrap} has the topics {', '.join(taken)} already; "
                "the tests delete theirs, so they want a cluster without them"
            )

    def stop(self) -> None:
        """It is not ours to stop."""

    def close(self) -> None:
        """Remove the topics of the tests."""
        self.clean()

    def _removable(self, topics: list[str]) -> list[str]:
        return [name for name in topics if name in SUITE_TOPICS or name.startswith(TEST_GROUPS)]
