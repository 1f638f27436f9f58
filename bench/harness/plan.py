"""Which faults strike in which round, drawn from a seed: the same seed gives the same rounds."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from random import Random

__all__ = ["Planned", "Round", "Steps", "rounds"]

Steps = Generator[float, None, str]  # of a fault: seconds to wait, and what it did

_WINDOW_S = 3.0  # of a round, within which its faults begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault of a round."""

    kind: str
    at_s: float  # after the beginning of the round
    seed: int  # of what the fault draws itself: its victim, how long it lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: its number, its own seed, and its faults in the order of their beginning."""

    number: int
    seed: str
    faults: tuple[Planned, ...]


def rounds(seed: int, kinds: Collection[str], *, fewest: int = 1, most: int = 3) -> Iterator[Round]:
    """Rounds without end, of `fewest` to `most` faults each. No kind comes again before every other one has come."""
    deck: list[str] = []
    number = 0
    while True:
        random = Random(f"{seed}/{number}")
        drawn: list[str] = []
        for _ in range(random.randint(fewest, most)):
            if not deck:
                deck = random.sample(sorted(set(kinds) - set(drawn)), len(set(kinds) - set(drawn)))
            drawn.append(deck.pop())
        faults = [
            Planned(kind=kind, at_s=round(random.uniform(0.2, _WINDOW_S), 2), seed=random.getrandbits(32))
            for kind in drawn
        ]
        yield Round(number=number, seed=f"{seed}/{number}", faults=tuple(sorted(faults, key=lambda fault: fault.at_s)))
        number += 1
