"""What the parts say of themselves, and what is made of it."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from demo.children import free_port
from demo.page.figures import StageMeans, ask_health, ask_metrics, versions_of

Serve = Callable[[int, bytes], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A service that answers everything alike; its port."""
    servers: list[HTTPServer] = []

    def start(status: int, body: bytes) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_health_is_what_is_said_ready_or_not_and_none_where_nobody_answers(serve: Serve) -> None:
    assert ask_health(serve(200, b'{"ready": true}')) == {"ready": True}
    assert ask_health(serve(503, b'{"ready": false}')) == {"ready": False}
    assert ask_health(free_port()) is None


def test_stages_are_read_from_a_workers_metrics(serve: Serve) -> None:
    registry = CollectorRegistry()
    latency = Histogram("nextclick_latency_seconds", "Time by stage.", ("stage",), registry=registry)
    for seconds in (0.1, 0.3):
        latency.labels("rank").observe(seconds)
    found = ask_metrics(serve(200, generate_latest(registry)))
    seconds, count = found["rank"]
    assert (round(seconds, 6), count) == (0.4, 2.0)
    assert ask_metrics(free_port()) == {}


def test_means_are_of_what_came_between_two_looks_over_all_workers() -> None:
    means = StageMeans()
    assert means.look({7: {"rank": (1.0, 100.0)}}) == {"rank": 10.0}
    assert means.look({7: {"rank": (1.5, 110.0)}, 8: {"rank": (0.5, 10.0)}}) == {"rank": 50.0}
    assert means.look({9: {"rank": (0.0, 0.0)}}) == {}, "a process that has done nothing yet"


def test_registry_that_is_not_there_has_no_versions(tmp_path: Path) -> None:
    assert versions_of(tmp_path / "registry") == {"live": None, "versions": [], "back": False}
