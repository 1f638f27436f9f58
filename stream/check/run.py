"""All checks, one after the other: each has a time limit, and what fails in one is a finding, not the end."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from export.checks import require_finite
from export.errors import ConfigError, NextclickError
from stream.check.clicks import check_clicks, sample_clicks
from stream.check.facts import Cluster, read_cluster
from stream.check.finding import Finding, error, info, sorted_findings
from stream.check.models import check_announced, check_policy, check_provider, check_registry, read_announced
from stream.check.rights import check_rights, check_transactions
from stream.check.schema_registry import check_schemas
from stream.check.topics import check_broker, check_topics_of
from stream.config import StreamConfig
from stream.errors import AccessRefused, BrokerUnavailable
from stream.faust.security import credentials_of
from stream.kafka.clients import wait_for_broker
from stream.kafka.topics import build_admin

__all__ = ["CheckConfig", "Checker", "guarded", "reach"]

Check = Callable[[], Iterable[Finding]]
_SHORT_S = 2.0  # for one address to accept a connection
_ANSWER_S = 5.0  # for a first sign of life of the cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What is checked, and for how long."""

    worker: StreamConfig  # as the worker would be started
    records: int = 2_000  # newest clicks that are looked at, of each partition
    limit_s: float = 30.0  # of one check

    def __post_init__(self) -> None:
        require_finite(self)
        if self.records < 1 or self.limit_s <= 0:
            raise ConfigError("--records and --limit-s must be above 0")


@dataclass(slots=True)
class Checker:
    """`run` returns what was found. `on_check` hears the name of each check before it begins."""

    config: CheckConfig
    on_check: Callable[[str], None] = lambda _name: None
    cluster: Cluster | None = None
    done: list[str] = field(default_factory=list)

    def run(self) -> list[Finding]:
        """Everything that is wrong, the worst first."""
        found: list[Finding] = []
        for name, check in self._own():
            found += self._one(name, check)
        if self.cluster is not None:
            for name, check in self._of_cluster(self.cluster):
                found += self._one(name, check)
        return sorted_findings(found)

    def _one(self, name: str, check: Check) -> list[Finding]:
        self.on_check(name)
        found = guarded(name, check, self.config.limit_s)
        self.done.append(name)
        return found

    def _own(self) -> Sequence[tuple[str, Check]]:
        """Those that need no cluster, and the one that finds it."""
        worker = self.config.worker
        return [
            ("provider", lambda: check_provider(worker)),
            ("policy", lambda: check_policy(worker)),
            ("registry", lambda: check_registry(worker)),
            ("redis", self._redis),
            ("schemas", lambda: check_schemas(self.config.worker.kafka)),
            ("kafka", self._find_cluster),
        ]

    def _of_cluster(self, cluster: Cluster) -> Sequence[tuple[str, Check]]:
        worker = self.config.worker
        checks: list[tuple[str, Check]] = [
            ("addresses", lambda: _addresses(cluster)),
            ("topics", lambda: check_topics_of(worker, cluster)),
            ("broker", lambda: check_broker(worker, cluster)),
            ("rights", lambda: check_rights(worker, cluster)),
            ("transactions", lambda: check_transactions(worker, self.config.limit_s / 2)),
        ]
        clicks, models = (cluster.topics.get(name) for name in (worker.topics.clicks, worker.topics.models))
        if clicks is not None and not clicks.refused:
            checks.append(("clicks", lambda: self._clicks(clicks.partitions)))
        if models is not None and not models.refused:
            checks.append(("models", self._models))
        return checks

    def _redis(self) -> Iterator[Finding]:
        if self.config.worker.redis_url is not None:
            from stream.check.redis_kind import check_redis  # its client is for those that have a Redis

            yield from check_redis(self.config.worker.redis_url, self.config.worker.topics.prefix)

    def _find_cluster(self) -> Iterator[Finding]:
        worker = self.config.worker
        try:
            credentials_of(worker.kafka, worker.bootstrap_servers)
            wait_for_broker(worker.bootstrap_servers, worker.kafka, timeout_s=min(_ANSWER_S, self.config.limit_s / 2))
            names = [*worker.topics.all(worker.group), worker.topics.items, worker.topics.similar]
            admin = build_admin(worker.bootstrap_servers, worker.kafka)
            self.cluster = read_cluster(admin, names, worker.consumer_group)
        except AccessRefused as problem:
            yield error("access_refused", "kafka", str(problem), "check user, password and ssl.ca.location")
        except BrokerUnavailable as problem:
            yield error("broker_unreachable", "kafka", str(problem), "check --bootstrap-servers and the network")
        except ConfigError as problem:
            yield error("client_options", "kafka", str(problem), "the options of --kafka, file and environment")

    def _clicks(self, partitions: int) -> Iterator[Finding]:
        worker = self.config.worker
        sample = sample_clicks(
            worker.bootstrap_servers,
            worker.topics.clicks,
            worker.kafka,
            records=self.config.records,
            timeout_s=self.config.limit_s / 3,
        )
        return check_clicks(worker.topics.clicks, sample, partitions, time.time_ns() // 1_000_000)

    def _models(self) -> Iterator[Finding]:
        worker = self.config.worker
        found = read_announced(
            worker.bootstrap_servers, worker.topics.models, worker.kafka, timeout_s=self.config.limit_s / 3
        )
        return check_announced(worker, found)


def guarded(name: str, check: Check, limit_s: float) -> list[Finding]:
    """What a check finds; where it fails or takes longer than `limit_s`, that is the finding. One that hangs is left
    behind in its thread."""
    found: list[Finding] = []
    ended: list[bool] = []

    def run() -> None:
        try:
            found.extend(check())
        except NextclickError as problem:
            found.append(error(f"{name}_failed", name, str(problem)))
        except Exception as problem:  # the other checks must not suffer
            found.append(error(f"{name}_failed", name, f"the check itself failed: {problem!r}"))
        ended.append(True)

    thread = threading.Thread(target=run, name=f"check-{name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if not ended:
        late = error(f"{name}_late", name, f"no answer within {limit_s:g} s", "try again with a longer --limit-s")
        return [*found, late]
    return found


def reach(host: str, port: int) -> None:
    """OSError unless somebody accepts a connection there soon."""
    socket.create_connection((host, port), _SHORT_S).close()


def _addresses(cluster: Cluster) -> Iterator[Finding]:
    """Brokers tell clients by which addresses they are reached; often these are right for others only."""
    for number, address in cluster.brokers.items():
        host, _, port = address.rpartition(":")
        try:
            reach(host, int(port))
        except OSError as problem:
            yield error(
                "advertised_unreachable",
                f"broker {number}",
                f"clients are told to reach it at {address}, and it can't be reached from here: {problem}",
                "set advertised.listeners to an address that this machine reaches",
            )
    if not cluster.brokers:
        yield info("no_brokers", "cluster", "it names no brokers")
