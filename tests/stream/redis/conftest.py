"""Servers of Redis of every kind, and the sink that writes to them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.process import free_port
from bench.rig.brokers.redis_server import RedisSentinel, RedisServer
from bench.rig.brokers.secure import make_authority
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.redis.sink import RedisSink

__all__ = ["Eventually", "Sunk"]

Eventually = Callable[[Callable[[], bool], str], None]


class Sunk:
    """A sink, and what it says."""

    def __init__(self, url: str) -> None:
        self.metrics = Metrics()
        self.problems = Problems(self.metrics.problem)
        self.sink = RedisSink(url, 60, self.metrics, self.problems)

    def refused(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("nextclick_redis_refused_total", {"reason": reason}) or 0.0

    def wrong(self) -> dict[str, str]:
        return {problem.key: str(problem) for problem in self.problems.lasting()}


@pytest.fixture
def sunk() -> Iterator[Callable[[str], Sunk]]:
    made: list[Sunk] = []

    def make(url: str) -> Sunk:
        made.append(Sunk(url))
        return made[-1]

    yield make
    for one in made:
        one.sink.close(timeout_s=0.5)


def cluster_node(folder: Path) -> RedisServer:
    folder.mkdir()
    return RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--dir", str(folder))


@pytest.fixture
def redis_cluster(tmp_path: Path, redis_server: RedisServer, eventually: Eventually) -> Iterator[list[RedisServer]]:
    """A cluster of two nodes that share the keys."""
    nodes = [cluster_node(tmp_path / name) for name in ("one", "two")]
    for epoch, (node, (first, last)) in enumerate(zip(nodes, ((0, 8191), (8192, 16_383)), strict=True), 1):
        node.start()
        with node.client() as client:
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
    ports = [int(node.url.rpartition(":")[2].partition("/")[0]) for node in nodes]
    with nodes[0].client() as client, nodes[1].client() as other:
        bus = int(other.config_get("cluster-port")["cluster-port"])
        client.execute_command("CLUSTER MEET", "127.0.0.1", ports[1], bus)

        def shared() -> bool:
            with contextlib.suppress(redis.RedisError):
                states = [dict(one.execute_command("CLUSTER INFO"))["cluster_state"] for one in (client, other)]
                return states == ["ok", "ok"]
            return False

        eventually(shared, "a cluster")
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def sentinel(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisSentinel]:
    """Watches the server as `shop`."""
    one = RedisSentinel(tmp_path, redis_server)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def redis_of_a_shop(tmp_path: Path) -> Iterator[str]:
    """The URL of a server over TLS, for a user with the rights that lists need; behind `?` its authority."""
    port, authority = free_port(), make_authority(tmp_path)
    files = ("--tls-cert-file", f"{tmp_path}/broker.crt", "--tls-key-file", f"{tmp_path}/broker.key")
    try:
        server = RedisServer("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    except BrokerMissing as error:
        pytest.skip(f"redis: {error}")
    server.start()
    with server.client() as client:
        client.execute_command("ACL SETUSER shop on >p%w ~rec:* +eval +get +set +info +ping +client")
    yield f"rediss://shop:p%25w@127.0.0.1:{port}/0?ssl_ca_certs={authority}"
    server.stop()
