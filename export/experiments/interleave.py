"""Two lists made into one by team draft, and whose items were clicked: two models compared within one session.

The teams pick in turns, each its best item that is not in the list yet; where both have picked as often, a coin says
who is next. So each place of the list is as likely either team's, and a click on an item is a vote for the team that
picked it. The coins are bits of a hash of the experiment, the session and the offset of the click that is answered: a
click that is read again gets the same list again.
Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008 (section 4).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["coins", "credit", "team_draft"]

_COINS = 512  # of a list: one for every other item, as the second pick of a round needs none


def coins(experiment: str, session_id: str, offset: int) -> int:
    """512 coins as the bits of an integer, the first one lowest; the same for the same arguments everywhere."""
    text = f"{offset} {session_id}".encode()
    return int.from_bytes(hashlib.blake2b(text, key=experiment.encode(), digest_size=_COINS // 8).digest(), "little")


def team_draft(
    first: Sequence[tuple[str, float]], second: Sequence[tuple[str, float]], k: int, coins: int
) -> tuple[list[tuple[str, float]], list[int]]:
    """At most `k` items (id, score), and the team that picked each: 0 the first list's, 1 the second's.

    No item comes twice, and in every beginning of the list the teams have picked as often, or one once more, as long as
    both have something to pick: with two lists of `k` items that is to the end. Each score is that of its own list.
    """
    taken: dict[str, tuple[str, float]] = {}  # in the order in which they were picked
    teams: list[int] = []
    left = iter(first), iter(second)
    lead = flips = 0  # picks of the first team above the second's
    while len(teams) < k:
        if lead:
            team = 1 if lead > 0 else 0
        else:
            team, flips = coins >> flips & 1, (flips + 1) % _COINS
        picked = _best(left[team], taken)
        if picked is None:  # the other one goes on alone, so that the list has all the items it can have
            team = 1 - team
            picked = _best(left[team], taken)
            if picked is None:
                break
        taken[picked[0]] = picked
        teams.append(team)
        lead += 1 - 2 * team
    return list(taken.values()), teams


def credit(teams: Sequence[str], items: Sequence[str], clicked: Collection[str]) -> str | None:
    """The team of whose items more were clicked; None for as many, and where none of the list was.

    `teams`: for each of `items`, the one that picked it. A click on something else is nobody's.
    """
    votes: dict[str, int] = {}
    for team, item in zip(teams, items, strict=True):
        if item in clicked:
            votes[team] = votes.get(team, 0) + 1
    if not votes:
        return None
    most = max(votes.values())
    leaders = [team for team, count in votes.items() if count == most]
    return leaders[0] if len(leaders) == 1 else None


def _best(left: Iterator[tuple[str, float]], taken: Mapping[str, object]) -> tuple[str, float] | None:
    """The best item that is not taken yet of those a team has left; None when all are."""
    for one in left:
        if one[0] not in taken:
            return one
    return None
