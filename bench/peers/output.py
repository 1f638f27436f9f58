"""The list as every peer publishes it, the same message as the worker's."""

from __future__ import annotations

import time

from export.ranking.ranker import RankedList
from stream.messages.contract import Recommendation, Source, encode, recommended

K = 20  # items in a list, the worker's default
WINDOW = 50  # newest clicks of a session that are kept, the worker's default
MAX_BATCH = 1_024  # clicks ranked at once, the worker's default


def list_message(session: str, ranked: RankedList, model: str, source: Source, event_ts: int) -> bytes:
    """The value of the message that answers the click at `source`."""
    return encode(
        Recommendation(
            session_id=session,
            items=recommended(ranked.items),
            model=model,
            variant="default",
            fallback=ranked.fallback,
            source=source,
            event_ts=event_ts,
            published_ts=int(time.time() * 1000),
        )
    )
