"""The fetcher rests after a response, and holds back nothing but its next requests."""

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from stream.faust.pace import pace

RESET = {0: ["clicks-1"]}


class FakeFetcher:
    """A fetcher that has requests to send whenever it is asked."""

    def __init__(self) -> None:
        self.requests = [(0, "request")]

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        return bool(request == "full")

    def _get_actions_per_node(self, assignment: Any) -> tuple[Any, ...]:
        return self.requests, RESET, 5.0, False, []


def test_after_a_response_no_request_is_sent_until_the_rest_is_over(monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("stream.faust.pace.time", SimpleNamespace(monotonic=lambda: now[0]))
    fetcher, rest_s = FakeFetcher(), [0.002]
    pace(fetcher, lambda responded: responded + rest_s[0])
    assert fetcher._get_actions_per_node(None)[0] == [(0, "request")], "none came yet"
    assert asyncio.run(fetcher._proc_fetch_request(None, 0, "full")) is True
    requests, resets, wait_s, invalid_metadata, resumed = fetcher._get_actions_per_node(None)
    assert (requests, resets, invalid_metadata, resumed) == ([], RESET, False, [])
    assert wait_s == pytest.approx(0.002)
    rest_s[0] = 0.003
    assert fetcher._get_actions_per_node(None)[2] == pytest.approx(0.003), "what has begun since may make it longer"
    now[0] += 0.0031
    assert fetcher._get_actions_per_node(None) == ([(0, "request")], RESET, 5.0, False, [])


def test_a_broker_rests_for_its_own_responses(monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("stream.faust.pace.time", SimpleNamespace(monotonic=lambda: now[0]))
    fetcher = FakeFetcher()
    fetcher.requests = [(0, "request"), (1, "another")]
    pace(fetcher, lambda responded: responded + 0.002)
    asyncio.run(fetcher._proc_fetch_request(None, 0, "full"))
    requests, _, wait_s, _, _ = fetcher._get_actions_per_node(None)
    assert requests == [(1, "another")]
    assert wait_s == pytest.approx(0.002), "until the other one may be asked"


def test_pacing_twice_is_pacing_once() -> None:
    fetcher = FakeFetcher()
    pace(fetcher, float)
    once = vars(fetcher).copy()
    pace(fetcher, float)
    assert vars(fetcher) == once


def test_aiokafka_has_the_internals_that_are_paced() -> None:
    routine = inspect.getsource(Fetcher._fetch_requests_routine)
    assert "self._get_actions_per_node(assignment)" in routine
    assert "self._proc_fetch_request(assignment, node_id, request)" in routine
    assert "timeout=timeout," in routine
    actions = inspect.getsource(Fetcher._get_actions_per_node)
    assert "backoff," in actions[actions.rindex("return (") :]
