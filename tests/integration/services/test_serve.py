"""A storefront that knows nothing but HTTP: its clicks in, its lists out, and popular items until there is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import now_ms, read_topic
from bench.rig.oracle import assert_lists, stored
from bench.rig.trace_collector import TraceCollector
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.messages.contract import Recommendation, decode_recommendation
from stream.serve.sources.popular import NO_CLICK
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, StartWorker
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

ANNA, WAIT_S = "shopper-anna", 30.0
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of the storefront, by W3C Trace Context


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceCollector]:
    """Where services and workers of the test send their spans."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="traces come with the extra otel")
    collector = TraceCollector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms
    yield collector
    collector.stop()


@pytest.fixture
def serve(
    topics: str, naming: tuple[str, ...], registry: Registry, tmp_path: Path, traces: TraceCollector
) -> Iterator[Worker]:
    """A read API whose sessions without a list get popular items."""
    port = free_port()
    words = ("serve", "--bootstrap-servers", topics, "--web-port", str(port), "--fallback", registry.url, *naming)
    started = Worker.of([sys.executable, "-m", "nextclick", *words], tmp_path / "serve.log", port)
    yield started
    started.stop(grace_s=10)


class Shop:
    """A storefront's server."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def click(self, item: str) -> int:
        """Anna clicks; the offset that the API confirms."""
        click = {"session_id": ANNA, "item_id": item, "ts": now_ms()}
        traced = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        async with self._client.post("/clicks", json=click, headers=traced) as answer:
            said = await answer.json()
        assert (answer.status, said["accepted"]) == (200, 1), said
        return int(said["clicks"][0]["offset"])

    async def newest(self) -> Recommendation:
        """The list that Anna is shown."""
        async with self._client.get(f"/recommendations/{ANNA}") as answer:
            assert answer.status == 200
            return decode_recommendation(await answer.read())

    async def updated(self, after: int) -> Recommendation:
        """The next one, by a long poll."""
        where = f"/recommendations/{ANNA}/updates?after={after}&wait={WAIT_S:g}"
        async with self._client.get(where) as answer:
            assert answer.status == 200
            return decode_recommendation(await answer.read())


async def next_event(stream: aiohttp.StreamReader) -> tuple[int, Recommendation]:
    """The id and the list of the next server-sent event."""
    while not (line := await asyncio.wait_for(stream.readline(), WAIT_S)).startswith(b"id: "):
        assert line, "the stream ended"
    number = int(line.removeprefix(b"id: "))
    assert await stream.readline() == b"event: recommendation\n"
    return number, decode_recommendation((await stream.readline()).removeprefix(b"data: "))


def test_click_over_http_is_answered_over_http_and_on_the_stream_and_nobody_is_shown_nothing(
    topics: str,
    names: Topics,
    changelog: str,
    registry: Registry,
    serve: Worker,
    start_worker: StartWorker,
    traces: TraceCollector,
) -> None:
    start_worker(topics).await_ready()
    serve.await_ready()
    wait_for("popular items", lambda: serve.health()["fallback"] == "1", 30)

    async def shop() -> dict[str, Recommendation]:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{serve.port}") as client:
            anna, accept = Shop(client), {"Accept": "text/event-stream"}
            first = await anna.newest()
            assert (first.fallback, first.source.offset, first.model) == (True, NO_CLICK, "1")
            assert [item.item_id for item in first.items[:2]] == [f"item-{ITEMS}", f"item-{ITEMS - 1}"]
            async with client.get(f"/recommendations/{ANNA}/updates", headers=accept) as answer:
                assert await answer.content.readline() == b": lists follow\n"
                offset = await anna.click("item-7")
                polled = await anna.updated(first.source.offset)
                assert (polled.source.offset, polled.fallback) == (offset, False)
                assert await anna.newest() == polled
                assert await next_event(answer.content) == (offset, polled)
                offset = await anna.click("item-9")
                number, streamed = await next_event(answer.content)
                assert (number, streamed.source.offset) == (offset, offset)
                assert await anna.newest() == streamed != polled
        return {ANNA: streamed}

    last = asyncio.run(shop())
    states = stored(read_topic(topics, changelog))
    assert states[ANNA].items == ("item-7", "item-9")
    assert_lists(last, states, ranker_of(registry, "1"))
    assert serve.metric("nextclick_serve_fallbacks_total", why="no_list") == 1
    assert serve.metric("nextclick_serve_clicks_total") == 2
    assert_traced(traces)


def assert_traced(traces: TraceCollector) -> None:
    """The storefront's trace goes on through the read API and Kafka into the worker's batches, in two processes."""
    both = ("nextclick-serve", "POST /clicks"), ("nextclick-worker", "batch")
    wait_for("spans of both clicks", lambda: all(len(traces.of(*one)) >= 2 for one in both), 30)
    requests = traces.of("nextclick-serve", "POST /clicks")
    assert {(one.trace, one.parent) for one in requests} == {(TRACE, CALLER)}
    batches = traces.of("nextclick-worker", "batch")
    assert {link for one in batches for link in one.links} == {(TRACE, one.span) for one in requests}
    parts = [one.name for name in ("wait", "fold", "rank", "publish") for one in traces.of("nextclick-worker", name)]
    assert len(parts) == 4 * len(batches)
