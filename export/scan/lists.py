"""A list that is being made, compiled: what the scans of codes and of dense vectors share.

A module of its own, as whoever imports it compiles all that it holds, seconds for a whole scan.

Scores (K,) and their places (K,) are a heap whose root is the worst: the least score, and of equal ones the greatest
place.
"""

from typing import Any

from export.scan.compiled import compiled

__all__ = ["enter", "is_excluded", "put_in_order"]


@compiled()
def enter(scores: Any, places: Any, score: Any, place: int) -> None:
    """Put an item in the place of the worst."""
    size, at = scores.shape[0], 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        other = below + 1
        if other < size and (
            scores[other] < scores[below] or (scores[other] == scores[below] and places[other] > places[below])
        ):
            below = other
        if scores[below] > score or (scores[below] == score and places[below] < place):
            break
        scores[at], places[at] = scores[below], places[below]
        at = below
    scores[at], places[at] = score, place


@compiled()
def put_in_order(scores: Any, places: Any) -> None:
    """Put a list the best first, the worst from the root to its end in turn."""
    for end in range(scores.shape[0] - 1, 0, -1):
        score, place = scores[end], places[end]
        scores[end], places[end] = scores[0], places[0]
        enter(scores[:end], places[:end], score, place)


@compiled()
def is_excluded(excluded: Any, first: int, last: int, place: int) -> bool:
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if excluded[middle] < place:
            low = middle + 1
        else:
            high = middle
    return low < last and excluded[low] == place
