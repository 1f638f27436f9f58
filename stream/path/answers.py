"""What a ranker gives, and what becomes of it: the answer to a session, a list for each placement."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

__all__ = ["Answer", "ItemRanker", "Listed", "RankedItems", "ServedBy"]


class RankedItems(Protocol):
    """A list of the ranker: (item id, score) best first, and whether it is popularity's."""

    @property
    def items(self) -> Sequence[tuple[str, float]]: ...
    @property
    def fallback(self) -> bool: ...


class ItemRanker(Protocol):
    """What the worker needs of `export.ranking.ranker.Ranker`. Called by one thread at a time."""

    @property
    def version(self) -> str: ...
    @property
    def k_max(self) -> int: ...
    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> Sequence[RankedItems]: ...


class ServedBy(NamedTuple):
    """What made a list that is part of an experiment."""

    experiment: str
    variant: str
    model: str
    teams: tuple[str, ...] = ()  # of interleaved lists: the variant that each item came from


class Listed(NamedTuple):
    """The list of one placement."""

    placement: str  # empty: the one list of a shop that names none
    items: Sequence[tuple[str, float]]
    fallback: bool
    teams: tuple[str, ...] = ()  # of an interleaved list: the variant that each item came from
    k: int = 0  # items asked for; 0: not known
    interests: tuple[int, ...] = ()  # of a model of several: which of them each item came from


class Answer(NamedTuple):
    """The lists for one session; `error` where the ranking failed, and its clicks are to be rejected."""

    items: Sequence[tuple[str, float]]  # of the first placement
    fallback: bool
    error: str = ""
    by: ServedBy | None = None  # None: the live model of the worker's own variant
    placement: str = ""
    k: int = 0  # items asked for; 0: not known
    interests: tuple[int, ...] = ()
    others: tuple[Listed, ...] = ()  # the lists of the other placements

    @classmethod
    def of(cls, lists: tuple[Listed, ...]) -> "Answer":
        """The answer of a list for each placement."""
        first = lists[0]
        return cls(
            first.items,
            first.fallback,
            placement=first.placement,
            k=first.k,
            interests=first.interests,
            others=lists[1:],
        )

    @property
    def lists(self) -> tuple[Listed, ...]:
        """One for each placement."""
        teams = () if self.by is None else self.by.teams
        first = Listed(self.placement, self.items, self.fallback, teams, self.k, self.interests)
        return (first, *self.others)
