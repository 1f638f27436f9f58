"""Positions that the log does not hold, because retention passed them or the topic is another one.

Seam: aiokafka goes on at the log's start then, and tells nobody.
"""

from collections.abc import Callable
from typing import Any

from stream.partition.reading import Partition

__all__ = ["note_resets"]


def note_resets(consumer: Any, partition: Any, moved: Callable[[Partition, int, int], None]) -> None:
    """Have `moved` called, in the consumer's thread, with where an assigned partition was to be read on, and where it
    is. May be repeated."""
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or partition not in assignment.tps:
        return
    state = assignment.state_value(partition)
    if hasattr(state, "noted"):
        return
    state.noted = None  # the position that the log did not hold
    await_reset, reset_to = state.await_reset, state.reset_to

    def note_begin(strategy: Any) -> None:
        state.noted = state._position
        await_reset(strategy)

    def note_end(position: int) -> None:
        reset_to(position)
        begin, state.noted = state.noted, None
        if begin is not None and begin != position:
            moved((partition.topic, partition.partition), begin, position)

    state.await_reset, state.reset_to = note_begin, note_end
