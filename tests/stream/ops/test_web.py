"""/health and /metrics."""

import asyncio
from typing import Any

import aiohttp
import pytest

from export.errors import ConfigError
from stream.ops.metrics import Metrics
from stream.ops.web import Health, WebServer


async def get(port: int, path: str) -> tuple[int, str, Any]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.content_type, await (answer.json() if path == "/health" else answer.text())


def ask(health: Health, path: str) -> tuple[int, str, Any]:
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
    assert body == {"ready": True, "standby": False, "model": "7", "variant": "default", "partitions": [0, 2],
                    "lag": {"0": 3, "2": 0}, "reasons": [], "fallback": False}  # fmt: skip


def test_health_live_is_200_also_while_not_ready() -> None:
    assert ask(Health(ready=False, reasons=["recovering"]), "/health/live")[0] == 200


def test_health_not_ready_is_503_with_the_reasons() -> None:
    status, _, body = ask(Health(ready=False, reasons=["no model yet"]), "/health")
    assert (status, body["reasons"], body["model"]) == (503, ["no model yet"], None)


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
