"""/health and /metrics."""

import asyncio
import contextlib
import socket
import time
import urllib.request
from typing import Any

import aiohttp
import msgspec
import pytest

from export.errors import ConfigError
from stream.ops.metrics import Metrics
from stream.ops.web import Health, Shown, WebServer


async def get(port: int, path: str) -> tuple[int, str, Any]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.content_type, await (answer.json() if path == "/health" else answer.text())


def ask(health: Shown, path: str) -> tuple[int, str, Any]:
    async def run() -> tuple[int, str, Any]:
        server = WebServer("127.0.0.1", 0, lambda: health, Metrics())
        try:
            return await get(await server.start(), path)
        finally:
            await server.stop()

    return asyncio.run(run())


def test_health_ready_is_200_with_model_partitions_and_lag() -> None:
    health = Health(ready=True, model="7", partitions=[0, 2], lag={0: 3, 2: 0})
    status, kind, body = ask(health, "/health")
    assert (status, kind) == (200, "application/json")
    assert body == {"ready": True, "standby": False, "serving": "nothing", "model": "7", "variant": "default",
                    "partitions": [0, 2], "lag": {"0": 3, "2": 0}, "reasons": [], "fallback": False,
                    "experiments": [],
                    "items": {"items": 0, "unavailable": 0, "gone": 0, "refused": 0, "lag": 0, "age_s": None,
                              "topic": False, "restored": False}}  # fmt: skip


def test_health_live_is_200_also_while_not_ready() -> None:
    assert ask(Health(ready=False, reasons=["recovering"]), "/health/live")[0] == 200


def test_health_not_ready_is_503_with_the_reasons() -> None:
    status, _, body = ask(Health(ready=False, reasons=["no model yet"]), "/health")
    assert (status, body["reasons"], body["model"]) == (503, ["no model yet"], None)


@pytest.mark.parametrize(
    ("ready", "standby", "status"), [(True, False, 200), (False, True, 200), (False, False, 503), (True, True, 200)]
)
def test_health_ready_lets_a_rollout_go_on_behind_a_worker_that_answers_or_stands_by(
    ready: bool, standby: bool, status: int
) -> None:
    assert ask(Health(ready=ready, standby=standby, reasons=["recovering"]), "/health/ready")[0] == status


def test_health_ready_of_a_service_that_knows_no_standby_is_that_of_health() -> None:
    class Ready(msgspec.Struct, frozen=True):
        ready: bool

    for ready in (True, False):
        found = Ready(ready)
        assert ask(found, "/health/ready")[0] == ask(found, "/health")[0] == (200 if ready else 503)


def test_metrics_are_prometheus_text() -> None:
    status, kind, text = ask(Health(ready=True), "/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "nextclick_clicks_total 0.0" in text


@pytest.mark.parametrize("path", ["/", "/tables", "/health/x"])
def test_web_anything_else_is_404(path: str) -> None:
    assert ask(Health(ready=True), path)[0] == 404


def test_web_port_taken_raises_config_error() -> None:
    async def run() -> None:
        first = WebServer("127.0.0.1", 0, lambda: Health(ready=True), Metrics())
        port = await first.start()
        try:
            with pytest.raises(ConfigError, match=str(port)):
                await WebServer("127.0.0.1", port, lambda: Health(ready=True), Metrics()).start()
        finally:
            await first.stop()

    asyncio.run(run())


def test_health_head_and_query_are_understood() -> None:
    async def run() -> tuple[int, bytes]:
        server = WebServer("127.0.0.1", 0, lambda: Health(ready=True), Metrics())
        url = f"http://127.0.0.1:{await server.start()}/health?verbose=1"
        try:
            async with aiohttp.ClientSession() as session, session.head(url) as answer:
                return answer.status, await answer.read()
        finally:
            await server.stop()

    assert asyncio.run(run()) == (200, b"")


class CountingMetrics(Metrics):
    """Counts how often it was put into text, of the size that a busy worker's has."""

    def __init__(self) -> None:
        super().__init__()
        self.renders = 0

    def render(self) -> bytes:
        self.renders += 1
        return super().render() + b"# padding\n" * 20_000


def open_clients(port: int, number: int, sent: bytes) -> list[socket.socket]:
    """Connections that send and never read."""
    clients = []
    for _ in range(number):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.setblocking(False)
        with contextlib.suppress(OSError):  # as much as the other side takes
            client.send(sent)
        clients.append(client)
    return clients


@pytest.mark.parametrize(
    "sent", [b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000, b"GET /metrics HTTP/1.1\r\nX-Slow: "]
)
def test_web_clients_that_pipeline_and_do_not_read_cost_little_and_do_not_hold_up_the_end(sent: bytes) -> None:
    async def run() -> None:
        metrics = CountingMetrics()
        server = WebServer("127.0.0.1", 0, lambda: Health(ready=True), metrics)
        port = await server.start()
        begun = time.monotonic()
        clients = await asyncio.to_thread(open_clients, port, 60, sent)
        for path in ("/health", "/metrics", "/health/live"):
            assert (await get(port, path))[0] == 200
        assert metrics.renders <= 2 + (time.monotonic() - begun) / 0.25
        begun = time.monotonic()
        await server.stop()
        assert time.monotonic() - begun < 5, "the end waits for no client"
        for client in clients:
            client.close()

    asyncio.run(run())


@pytest.mark.waits
def test_web_more_clients_than_it_takes_are_closed_and_it_answers_again_when_they_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.ops.web._Handler.timeout", 1.0)

    async def run() -> None:
        server = WebServer("127.0.0.1", 0, lambda: Health(ready=True), Metrics())
        port = await server.start()
        clients = await asyncio.to_thread(open_clients, port, 150, b"GET ")
        deadline = time.monotonic() + 30
        while True:  # silent ones are closed by and by
            with contextlib.suppress(aiohttp.ClientError, OSError):
                if (await get(port, "/health"))[0] == 200:
                    break
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        for client in clients:
            client.close()
        await server.stop()

    asyncio.run(run())


def test_web_loop_of_the_clicks_standing_still_is_answered_all_the_same() -> None:
    async def run() -> int:
        server = WebServer("127.0.0.1", 0, lambda: Health(ready=True), Metrics())
        url = f"http://127.0.0.1:{await server.start()}/health"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # blocks this loop
                return int(answer.status)
        finally:
            await server.stop()

    assert asyncio.run(run()) == 200
