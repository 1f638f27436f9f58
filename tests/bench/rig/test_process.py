"""Ports for servers that are about to start, and servers that end before they answer."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from bench.rig.brokers.process import LEAST_PORT, free_port
from bench.rig.brokers.redis_server import RedisServer

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not RANGE.exists(), reason="the system does not tell which ports connections are given")
def test_free_port_is_none_that_a_connection_may_be_given_before_the_server_starts() -> None:
    first = int(RANGE.read_text().split()[0])
    if first <= 2 * LEAST_PORT:
        pytest.skip(f"connections are given ports from {first} on here: too few are left")
    assert all(LEAST_PORT <= free_port() < first for _ in range(50))


def test_free_port_is_not_one_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert all(free_port() != taken.getsockname()[1] for _ in range(50))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not on the PATH")
def test_redis_that_ends_before_it_answers_is_told_at_once() -> None:
    server = RedisServer("--no-such-option", "yes")
    with pytest.raises(AssertionError, match="ended by itself"):
        server.start()
