"""The small web server of a service: /health, /health/ready, /health/live and /metrics, and little else.

It lives in threads of its own and can't slow the clicks down, whoever asks and however: a connection gets one answer
and is closed, there are a few of them at a time, for a few seconds at most, some hundred a second, and the figures are
put into text four times a second at most.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Literal, Protocol

import msgspec

from export.errors import ConfigError
from stream.experiments.keeper import ExperimentHealth
from stream.items.figures import ItemsHealth
from stream.ops.metrics import CONTENT_TYPE

__all__ = ["Figures", "Health", "Serving", "Shown", "WebServer"]

log = logging.getLogger(__name__)

Serving = Literal["model", "popularity", "empty lists", "nothing"]

_CONNECTIONS = 64  # at a time; more are closed at once
_CONNECTION_S = 10.0  # from the first byte to the last
_SILENCE_S = 5.0  # of a client that does not send or does not read
_TURN_S = 0.005  # between two connections taken
_FRESH_S = 0.25  # how long a text of the figures is shown
_POLL_S = 0.1  # how late the end is noticed
_NO_DESCRIPTORS_S = 0.5  # pause where the process may open no more files


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: with status 200 if ready, 503 if not."""

    ready: bool  # partitions are assigned, recovered and read, a model is in service, and nothing forbids it
    standby: bool = False  # no partition is assigned: there are more workers than partitions
    serving: Serving = "nothing"  # what answers clicks: the model; popular items, or lists without items; not yet any
    model: str | None = None  # version in service; none while popular items answer
    variant: str = "default"
    partitions: list[int] = []
    lag: dict[int, int] = {}  # clicks behind the end, by partition
    reasons: list[str] = []  # why it is not ready, and all that is wrong, with what to do about it
    fallback: bool = False  # lists are of popular items, or empty, for want of a model
    experiments: list[ExperimentHealth] = []  # that run, and what is served of their variants
    items: ItemsHealth = ItemsHealth()  # what is known of items


class Shown(Protocol):
    """What /health says: a msgspec struct."""

    @property
    def ready(self) -> bool: ...


class Figures(Protocol):
    """What /metrics says."""

    def render(self) -> bytes: ...


class WebServer:
    """Of a worker, or of another service. `health` is called in the server's threads, and so are `pages`: what they
    return is shown as JSON at their paths."""

    def __init__(
        self,
        host: str,
        port: int,
        health: Callable[[], Shown],
        metrics: Figures,
        pages: Mapping[str, Callable[[], Any]] = MappingProxyType({}),
    ) -> None:
        self._host, self._port = host, port
        self._health, self._metrics, self._pages = health, metrics, pages
        self._server: _Server | None = None
        self._text, self._text_at = b"", -_FRESH_S
        self._rendering = threading.Lock()

    async def start(self) -> int:
        """Listen and return the port (chosen by the system where 0 was asked for); ConfigError if it can't be had."""
        try:
            self._server = await asyncio.to_thread(_Server, self._host, self._port, self._answer)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"can't listen on {self._host}:{self._port}: {why}") from error
        threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="web", daemon=True).start()
        return int(self._server.server_address[1])

    async def stop(self) -> None:
        """Stop listening and close every connection, answered or not; may be repeated."""
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.end)

    def _answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body."""
        if path == "/health":
            health = self._health()
            status = HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json; charset=utf-8", msgspec.json.encode(health)
        if path == "/health/ready":  # whether a rollout may go on
            health = self._health()
            placed = health.ready or getattr(health, "standby", False)  # of services, only a worker has it
            status = HTTPStatus.OK if placed else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "text/plain; charset=utf-8", b"ready\n" if placed else b"not ready: /health says why\n"
        if path == "/health/live":  # that it answers at all is the answer: one not ready must not be started anew
            return HTTPStatus.OK, "text/plain; charset=utf-8", b"alive\n"
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, self._figures()
        if path in self._pages:
            return HTTPStatus.OK, "application/json; charset=utf-8", msgspec.json.encode(self._pages[path]())
        others = ", ".join(("/health", "/health/ready", "/health/live", *self._pages))
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"{others} or /metrics\n".encode()

    def _figures(self) -> bytes:
        with self._rendering:
            if time.monotonic() - self._text_at >= _FRESH_S:
                self._text, self._text_at = self._metrics.render(), time.monotonic()
            return self._text


class _Handler(BaseHTTPRequestHandler):
    """One request of one connection; HTTP 1.0, so that what a client sent behind it is never read."""

    timeout = _SILENCE_S
    server: "_Server"

    def do_GET(self) -> None:
        status, kind, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that the library looks for

    def version_string(self) -> str:
        return "nextclick"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an operator's log is no access log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _CONNECTIONS

    def __init__(self, host: str, port: int, answer: Callable[[str], tuple[HTTPStatus, str, bytes]]) -> None:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self.answer = answer
        self._open: dict[socket.socket, float] = {}  # when each connection was taken
        self._changes = threading.Lock()
        self._next_turn = 0.0
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As HTTPServer does, but for its look-up of our own name, which may hang where there is no DNS."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def end(self) -> None:
        """Called in another thread than serve_forever's."""
        self.shutdown()
        self._close_older_than(0.0)
        self.socket.close()

    def get_request(self) -> tuple[socket.socket, Any]:
        time.sleep(max(self._next_turn - time.monotonic(), 0.0))
        self._next_turn = time.monotonic() + _TURN_S
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                log.error("no file descriptor is left for a connection: raise the limit (ulimit -n, LimitNOFILE)")
                time.sleep(_NO_DESCRIPTORS_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changes:
            full = len(self._open) >= _CONNECTIONS
            if not full:
                self._open[request] = time.monotonic()
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changes:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        self._close_older_than(_CONNECTION_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or stood still is nobody's fault here."""
        log.debug("a request failed", exc_info=True)

    def _close_older_than(self, age_s: float) -> None:
        with self._changes:
            old = [request for request, at in self._open.items() if time.monotonic() - at >= age_s]
        for request in old:
            with contextlib.suppress(OSError):  # its thread wakes up and closes it
                request.shutdown(socket.SHUT_RDWR)
