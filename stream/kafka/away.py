"""Whether any broker answers at all: told as the problem `no_broker` for as long as none does."""

import threading
import time

from confluent_kafka import KafkaError

from stream.ops.problems import Problems

__all__ = ["BrokersAway"]


class BrokersAway:
    """A client's error callback says that all brokers are down; only a sign of life after that takes it back."""

    def __init__(self, problems: Problems, bootstrap_servers: str) -> None:
        self._problems, self._servers = problems, bootstrap_servers
        self._since: float | None = None  # by time.monotonic()
        self._lock = threading.Lock()

    def on_error(self, error: KafkaError) -> None:
        """In a client's thread, as its `error_cb`. What else is wrong arrives in delivery reports."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            return
        with self._lock:
            self._since = self._since or time.monotonic()
            self._problems.raise_(
                "no_broker",
                f"no broker answers at {self._servers}, clicks wait",
                "they are answered once one does; see to the brokers, and to the network on the way",
            )

    def heard(self, at: float) -> None:
        """A broker's newest sign of life was then, by time.monotonic()."""
        with self._lock:
            if self._since is not None and at > self._since:
                self._since = None
                self._problems.clear("no_broker")
