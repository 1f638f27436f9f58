"""Lists in Redis: written with a TTL, never in the way, and written again once Redis is back."""

import time
from collections.abc import Callable

import pytest

from bench.rig.brokers.process import free_port
from bench.rig.brokers.redis_server import RedisServer
from export.errors import ConfigError
from stream.messages.contract import Recommendation, Source, encode, recommended
from stream.ops.metrics import Metrics
from stream.redis.sink import RedisSink

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


def test_redis_sink_of_shops_that_share_a_redis_keep_their_lists_apart(
    redis_server: RedisServer, eventually: Eventually
) -> None:
    metrics = Metrics()
    sinks = [RedisSink(redis_server.url, 60, metrics, prefix=prefix) for prefix in ("", "shop1.")]
    for place, sink in enumerate(sinks):
        sink.put([("s1", b"%d" % place)])
    eventually(lambda: value_of(metrics, "written") == 2, "the lists")
    with redis_server.client() as client:
        assert (client.get("rec:s1"), client.get("shop1.rec:s1")) == (b"0", b"1")
    for sink in sinks:
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


def list_for(partition: int, offset: int, published_ts: int, item: str = "i") -> bytes:
    return encode(
        Recommendation(
            session_id="s1",
            items=recommended([(item, 1.0)]),
            model="1",
            variant="default",
            fallback=False,
            source=Source("shop1.clicks", partition, offset),
            event_ts=1,
            published_ts=published_ts,
        )
    )


@pytest.mark.parametrize(
    ("late", "stays"),
    [
        (list_for(0, 6, 900), True),  # what another worker gathered while Redis was away
        (list_for(0, 7, 999), True),  # the same click, answered before
        (list_for(0, 7, 1001), False),  # answered again, after a crash
        (list_for(0, 8, 900), False),  # a later click, by a worker whose clock is behind
        (list_for(0, 0, 5000), False),  # the topic was made again
        (list_for(3, 9, 999), True),  # of the partition that the session has left
        (list_for(3, 0, 1001), False),  # of the one that it moved to
        (list_for(0, 6, 900, '"source":{"topic":"x","partition":0,"offset":99}"published_ts":9999'), True),
        (b"no list of ours", False),
    ],
)
def test_redis_sink_keeps_the_newer_list_of_a_session(
    redis_server: RedisServer, eventually: Eventually, late: bytes, stays: bool
) -> None:
    metrics = Metrics()
    first = list_for(0, 7, 1000, 'odd "offset":999}')
    sinks = [RedisSink(redis_server.url, 60, metrics) for _ in range(2)]
    sinks[0].put([("s1", first)])
    eventually(lambda: value_of(metrics, "written") == 1, "the first list")
    sinks[1].put([("s1", late)])
    eventually(lambda: value_of(metrics, "written") + value_of(metrics, "outdated") == 2, "the late one")
    with redis_server.client() as client:
        assert client.get("rec:s1") == (first if stays else late)
    assert value_of(metrics, "outdated") == stays
    for sink in sinks:
        sink.close()
