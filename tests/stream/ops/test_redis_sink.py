"""Lists in Redis: written with a TTL, never in the way, and written again once Redis is back."""

import time
from collections.abc import Callable

import pytest

from bench.rig.brokers.process import free_port
from bench.rig.brokers.redis_server import RedisServer
from export.errors import ConfigError
from stream.ops.metrics import Metrics
from stream.ops.redis_sink import RedisSink

Eventually = Callable[[Callable[[], bool], str], None]


def value_of(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"nextclick_redis_{name}_total") or 0.0


def test_redis_sink_writes_lists_with_a_time_to_live(redis_server: RedisServer, eventually: Eventually) -> None:
    metrics = Metrics()
    sink = RedisSink(redis_server.url, 60, metrics)
    sink.put([("s1", b"old"), ("ü", b"two")])
    sink.put([("s1", b"one")])
    sink.put([])
    eventually(lambda: value_of(metrics, "written") == 3, "the lists")
    with redis_server.client() as client:
        assert (client.get("rec:s1"), client.get("rec:ü")) == (b"one", b"two")
        assert 0 < int(client.ttl("rec:s1")) <= 60
    sink.close()


def test_redis_sink_server_stopped_and_started_writes_again(redis_server: RedisServer, eventually: Eventually) -> None:
    metrics = Metrics()
    sink = RedisSink(redis_server.url, 60, metrics)
    sink.put([("s1", b"1")])
    eventually(lambda: value_of(metrics, "written") == 1, "the first list")
    redis_server.stop()
    sink.put([("s1", b"2")])
    eventually(lambda: value_of(metrics, "errors") >= 1, "an error")
    redis_server.start()
    eventually(lambda: value_of(metrics, "written") == 2, "the second list")
    with redis_server.client() as client:
        assert client.get("rec:s1") == b"2"
    sink.close()


def test_redis_sink_server_away_never_blocks_and_counts_what_it_drops() -> None:
    metrics = Metrics()
    sink = RedisSink(f"redis://127.0.0.1:{free_port()}/0", 60, metrics)
    begun = time.monotonic()
    for number in range(500):
        sink.put([(f"s{number}", b"x")] * 1000)
    assert time.monotonic() - begun < 1.0
    assert value_of(metrics, "dropped") >= 500_000 - 65_536 - 2_000
    sink.close(timeout_s=0.5)
    assert value_of(metrics, "dropped") == 500_000
    assert value_of(metrics, "written") == 0


def test_redis_sink_server_away_for_a_while_many_small_batches_wait_for_it(
    redis_server: RedisServer, eventually: Eventually
) -> None:
    metrics = Metrics()
    sink = RedisSink(redis_server.url, 60, metrics)
    redis_server.stop()
    for number in range(2000):
        sink.put([(f"s{number}", b"x"), ("t", b"%d" % number)])
    redis_server.start()
    eventually(lambda: value_of(metrics, "written") == 4000, "all lists")
    with redis_server.client() as client:
        assert (client.get("rec:s0"), client.get("rec:t")) == (b"x", b"1999")
    sink.close()


def test_redis_sink_closed_has_written_what_waited(redis_server: RedisServer) -> None:
    metrics = Metrics()
    sink = RedisSink(redis_server.url, 60, metrics)
    for number in range(50):
        sink.put([(f"s{number}", b"x")] * 100)
    sink.close(timeout_s=10.0)
    assert value_of(metrics, "written") + value_of(metrics, "dropped") == 5000
    assert value_of(metrics, "written") == 5000


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost:6379", "redis://host:port"])
def test_redis_sink_bad_url_raises_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        RedisSink(url, 60, Metrics())
