"""A cluster somebody else runs, named by KAFKA_BOOTSTRAP_SERVERS. The tests remove only what they made."""

from __future__ import annotations

from bench.rig.brokers.base import Broker, BrokerMissing, wait_until_answering
from bench.rig.brokers.process import DeadlineExceeded

__all__ = ["TEST_GROUPS", "ExternalBroker"]

TEST_GROUPS = "it-"  # how the names of the tests' topics and consumer groups begin
_ANSWER_S = 8.0  # a cluster that runs already answers sooner


class ExternalBroker(Broker):
    """Topics and groups of others may be there: those of the tests have names of their own."""

    real = True
    restartable = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.label = f"the cluster at {bootstrap} (KAFKA_BOOTSTRAP_SERVERS)"

    def start(self) -> None:
        """Check that it answers (BrokerMissing)."""
        try:
            wait_until_answering(self.bootstrap, _ANSWER_S)
        except DeadlineExceeded as error:
            raise BrokerMissing(f"no broker answers at {self.bootstrap} (KAFKA_BOOTSTRAP_SERVERS)") from error

    def stop(self) -> None:
        """It is not ours to stop."""

    def close(self) -> None:
        """Remove the topics of the tests."""
        self.clean()

    def _removable(self, topics: list[str]) -> list[str]:
        return [name for name in topics if name.startswith(TEST_GROUPS)]
