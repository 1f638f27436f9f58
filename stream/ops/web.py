"""The worker's small web server: /health, /health/live and /metrics, nothing else."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from export.errors import ConfigError
from stream.ops.metrics import CONTENT_TYPE, Metrics

__all__ = ["Health", "WebServer"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: with status 200 if ready, 503 if not."""

    ready: bool  # partitions are assigned, recovered and read, and a model is in service
    standby: bool = False  # no partition is assigned: there are more workers than partitions
    model: str | None = None  # version in service
    variant: str = "default"
    partitions: list[int] = []
    lag: dict[int, int] = {}  # clicks behind the end, by partition
    reasons: list[str] = []  # why it is not ready, or what failed last
    fallback: bool = False  # lists are of popular items, or empty, for want of a model


class WebServer:
    """Serves on the event loop that start() is called on."""

    def __init__(self, host: str, port: int, health: Callable[[], Health], metrics: Metrics) -> None:
        self._host, self._port = host, port
        self._health, self._metrics = health, metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen and return the port (chosen by the system where 0 was asked for); ConfigError if it can't be had."""
        app = web.Application()
        routes = {"/health": self._get_health, "/health/live": self._get_live, "/metrics": self._get_metrics}
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(f"can't listen on {self._host}:{self._port}: {error.strerror or error}") from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; may be repeated."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _get_health(self, _request: web.Request) -> web.Response:
        health = self._health()
        body = msgspec.json.encode(health)
        return web.Response(body=body, status=200 if health.ready else 503, content_type="application/json")

    async def _get_live(self, _request: web.Request) -> web.Response:
        """That it answers at all is the answer: a worker that is not ready must not be started anew for it."""
        return web.Response(text="alive\n")

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})
