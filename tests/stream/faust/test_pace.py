"""The fetcher rests after a response, and holds back nothing but its next requests."""

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from stream.faust.pace import _LONGEST_S, _REST_S, pace

RESET = {0: ["clicks-1"]}


class FakeFetcher:
    """A fetcher that has a request to send whenever it is asked."""

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        return bool(request == "full")

    def _get_actions_per_node(self, assignment: Any) -> tuple[Any, ...]:
        return [(0, "request")], RESET, 5.0, False, []


def test_after_a_response_no_request_is_sent_until_the_rest_is_over(monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("stream.faust.pace.time", SimpleNamespace(monotonic=lambda: now[0]))
    fetcher = FakeFetcher()
    pace(fetcher)
    assert fetcher._get_actions_per_node(None)[0] == [(0, "request")]
    assert asyncio.run(fetcher._proc_fetch_request(None, 0, "full")) is True
    requests, resets, wait_s, invalid_metadata, resumed = fetcher._get_actions_per_node(None)
    assert (requests, resets, invalid_metadata, resumed) == ([], RESET, False, [])
    assert 0 < wait_s <= _REST_S
    now[0] += wait_s
    assert fetcher._get_actions_per_node(None) == ([(0, "request")], RESET, 5.0, False, [])


@pytest.mark.parametrize(
    ("run_s", "rest_s"), [(0.0, _REST_S), (0.001, _REST_S), (0.004, 0.006), (0.007, 0.0105), (1.0, _LONGEST_S)]
)
def test_the_rest_is_as_long_as_rankings_take_within_bounds(monkeypatch: Any, run_s: float, rest_s: float) -> None:
    monkeypatch.setattr("stream.faust.pace.time", SimpleNamespace(monotonic=lambda: 100.0))
    fetcher = FakeFetcher()
    pace(fetcher, lambda: run_s)
    asyncio.run(fetcher._proc_fetch_request(None, 0, "full"))
    assert fetcher._get_actions_per_node(None)[2] == pytest.approx(rest_s)


def test_pacing_twice_is_pacing_once() -> None:
    fetcher = FakeFetcher()
    pace(fetcher)
    once = vars(fetcher).copy()
    pace(fetcher)
    assert vars(fetcher) == once


def test_aiokafka_has_the_internals_that_are_paced() -> None:
    routine = inspect.getsource(Fetcher._fetch_requests_routine)
    assert "self._get_actions_per_node(assignment)" in routine
    assert "self._proc_fetch_request(assignment, node_id, request)" in routine
    assert "timeout=timeout," in routine
    actions = inspect.getsource(Fetcher._get_actions_per_node)
    assert "backoff," in actions[actions.rindex("return (") :]
