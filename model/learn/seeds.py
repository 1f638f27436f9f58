"""Seeds of all that is random in a training: each use at each step has its own, mixed from the training's."""

from __future__ import annotations

__all__ = ["seed_of"]

ORDER, NEGATIVES, DROPOUT, POOL, WEIGHTS, MASKS, OWN, PREFERENCE, IDS, CODES, LINE = range(11)  # what a seed is for


def seed_of(*parts: int) -> int:
    """Return 32 mixed bits of the numbers given (splitmix64), for a generator's seed."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state % 2**32
