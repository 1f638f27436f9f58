"""Several workers under one supervisor: one that is killed comes back, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import urllib.request

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.workers import Worker
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker
from tests.integration.promises import Promise

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]


def processes(supervisor: Worker, number: int) -> list[int]:
    """The processes that worker `number` has been so far."""
    return [int(pid) for pid in re.findall(rf"worker {number} started, process (\d+)", supervisor.log.read_text())]


def two_free_ports() -> int:
    """The first of two neighbours, below those that the system gives to connections."""
    for port in range(20_000 + os.getpid() % 5000, 32_000, 2):
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two neighbouring ports are free")


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_worker_of_a_supervisor_killed_in_full_flow_is_back_and_nothing_is_lost(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    promise: Promise,
) -> None:
    port = two_free_ports()
    supervisor = start_worker(topics, "--processes", "2", "--web-port", str(port))
    supervisor.port = port
    supervisor.await_ready(PARTITIONS // 2, deadline_s=60)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        flow.confirmed(500)
        os.kill(processes(supervisor, 1)[0], signal.SIGKILL)
        supervisor.await_log("worker 1 was killed by SIGKILL")
        wait_for("worker 1 to be started again", lambda: len(processes(supervisor, 1)) == 2)
        wait_for("worker 1 to be ready", lambda: is_ready(supervisor.port + 1), 60)
        flow.confirmed(500)
    promise.assert_kept(storefront.sent, lists)
    assert supervisor.stop(grace_s=60) == 0
    for number in (0, 1):
        with pytest.raises(ProcessLookupError):
            os.kill(processes(supervisor, number)[-1], 0)


def test_supervisor_of_workers_without_topics_ends_with_their_exit_code(
    real_broker: Broker, start_worker: StartWorker
) -> None:
    supervisor = start_worker(real_broker.bootstrap, "--processes", "2")
    wait_for("the supervisor to end", lambda: supervisor.process.poll() is not None, 30)
    assert supervisor.process.returncode == 2
    assert "nextclick topics create" in supervisor.log.read_text()
    assert "Traceback" not in supervisor.log.read_text()
