"""The pace of aiokafka's fetcher: a moment between a response and the next request."""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["pace"]


def pace(fetcher: Any, fetch_at: Callable[[float], float]) -> None:
    """Seam: aiokafka sends its next request as soon as a response is there, and has one under way to a broker.

    That request leaves out the partitions whose records nobody has taken yet, so their next records wait for its end,
    which under light traffic is the end of the long poll. And under more traffic there are as many requests as the
    broker can answer, of a record or two each, which costs half a core. A short rest lets the records be taken, and the
    request ask for all partitions at once.

    fetch_at: until when to rest after a response that came then, by time.monotonic() (`stream.path.starts`).
    """
    if "_proc_fetch_request" in vars(fetcher):
        return
    process, actions = fetcher._proc_fetch_request, fetcher._get_actions_per_node
    responded: dict[Any, float] = {}  # by the broker's id: one rests for its own responses, not for those of others

    async def process_and_rest(assignment: Any, node_id: Any, request: Any) -> bool:
        has_new_data = bool(await process(assignment, node_id, request))
        responded[node_id] = time.monotonic()
        return has_new_data

    def actions_when_rested(assignment: Any) -> tuple[Any, ...]:
        requests, resets, wait_s, invalid_metadata, resumed = actions(assignment)
        now, rested = time.monotonic(), []
        for node_id, request in requests:
            rest_s = fetch_at(responded[node_id]) - now if node_id in responded else 0.0
            if rest_s > 0:
                wait_s = min(wait_s, rest_s)
            else:
                rested.append((node_id, request))
        return rested, resets, wait_s, invalid_metadata, resumed

    fetcher._proc_fetch_request = process_and_rest
    fetcher._get_actions_per_node = actions_when_rested
