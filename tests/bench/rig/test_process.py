"""Ports for servers that are about to start, and servers that end before they answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bench.rig.brokers import process
from bench.rig.brokers.process import LEAST_PORT, free_port
from bench.rig.brokers.redis_server import RedisServer


@pytest.mark.parametrize(
    ("told", "first"), [("32768\t60999", 32_768), ("1024 65535", 65_536), ("torn", 32_768), (None, 32_768)]
)
def test_free_port_is_none_that_a_connection_may_be_given_before_the_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, first: int
) -> None:
    """Where connections are given nearly all ports, it is any of them."""
    if told is not None:
        (tmp_path / "range").write_text(told)
    monkeypatch.setattr(process, "GIVEN", tmp_path / "range")
    process._first_given.cache_clear()
    try:
        ports = [free_port() for _ in range(200)]
    finally:
        process._first_given.cache_clear()
    assert all(LEAST_PORT <= port < first for port in ports)
    assert max(ports) > first * 0.8


def test_free_port_is_not_one_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert all(free_port() != taken.getsockname()[1] for _ in range(50))


@pytest.mark.slow
@pytest.mark.usefixtures("redis_server")
def test_redis_that_ends_before_it_answers_is_told_at_once() -> None:
    with pytest.raises(AssertionError, match="ended by itself"):
        RedisServer("--no-such-option", "yes").start()
