"""The pace of aiokafka's fetcher: a moment between a response and the next request."""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["pace"]

_RUNS = 1.5  # rankings' times of a rest: what is fetched sooner waits for the one before it
_LONGEST_S = 0.012
_REST_S = 0.002  # at 1,000 clicks/s without it, or with half of it, lists come later: the broker is busy with requests


def pace(fetcher: Any, run_s: Callable[[], float] = lambda: 0.0) -> None:
    """Seam: aiokafka sends its next request as soon as a response is there, and has one under way to a broker.

    That request leaves out the partitions whose records nobody has taken yet, so their next records wait for its end,
    which under light traffic is the end of the long poll. And under more traffic there are as many requests as the
    broker can answer, of a record or two each, which costs half a core. A short rest lets the records be taken, and the
    request ask for all partitions at once.

    run_s: how long rankings take now. Where the cores are busy that is long, and what is fetched meanwhile is
    ranked no sooner, but in more and smaller batches, whose cost makes all of them wait: so the rest is longer, too.
    """
    if "_proc_fetch_request" in vars(fetcher):
        return
    process, actions = fetcher._proc_fetch_request, fetcher._get_actions_per_node
    rest_until = 0.0

    async def process_and_rest(assignment: Any, node_id: Any, request: Any) -> bool:
        nonlocal rest_until
        has_new_data = bool(await process(assignment, node_id, request))
        rest_until = time.monotonic() + min(max(_REST_S, _RUNS * run_s()), _LONGEST_S)
        return has_new_data

    def actions_when_rested(assignment: Any) -> tuple[Any, ...]:
        requests, resets, wait_s, invalid_metadata, resumed = actions(assignment)
        rest_s = rest_until - time.monotonic()
        if requests and rest_s > 0:
            requests, wait_s = [], min(wait_s, rest_s)
        return requests, resets, wait_s, invalid_metadata, resumed

    fetcher._proc_fetch_request = process_and_rest
    fetcher._get_actions_per_node = actions_when_rested
