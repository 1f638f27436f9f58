"""An independent count of the same topics: lists and clicks put into dictionaries, whole, and looked up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from export.experiments.tally import Tally
from stream.messages.contract import Click, Recommendation

__all__ = ["ClickRow", "Recount", "recount"]

KEPT = 8


class ClickRow(NamedTuple):
    """A message of the clicks."""

    partition: int
    offset: int
    at_ms: int  # record time, -1 for none
    click: Click | None


class Recount(NamedTuple):
    """What came out."""

    counts: Counter[str]
    tallies: dict[str, Tally]  # by experiment/name
    shown: dict[str, int]
    items: dict[str, set[str]]
    lists: Counter[str]
    latency: dict[str, list[int]]
    preferred: dict[str, Counter[str]]
    mixed: Counter[str]


def visits_of(clicks: Sequence[ClickRow], idle_ms: int) -> dict[tuple[int, str], list[list[ClickRow]]]:
    """The sessions of each partition and name, in order: one ends where the partition's clock went on too far."""
    found: dict[tuple[int, str], list[list[ClickRow]]] = defaultdict(list)
    clock: dict[int, int] = defaultdict(int)
    last: dict[tuple[int, str], int] = {}
    for row in sorted(clicks, key=lambda one: (one.partition, one.offset)):
        if row.click is None:
            continue
        clock[row.partition] = max(clock[row.partition], row.at_ms)
        key = (row.partition, row.click.session_id)
        if key not in last or clock[row.partition] - last[key] > idle_ms:
            found[key].append([])
        found[key][-1].append(row)
        last[key] = clock[row.partition]
    return found


def key_of(one: Recommendation) -> str:
    return f"{one.experiment}/{one.variant if one.experiment else one.model}"


def recount(clicks: Sequence[ClickRow], lists: Sequence[Recommendation], idle_ms: int) -> Recount:
    """`lists` in the order of their partition."""
    found = Recount(
        Counter(), {}, Counter(), defaultdict(set), Counter(), defaultdict(list), defaultdict(Counter), Counter()
    )
    by_session: dict[tuple[int, str], list[Recommendation]] = defaultdict(list)
    for one in lists:
        by_session[one.source.partition, one.session_id].append(one)
    for (partition, name), visits in visits_of(clicks, idle_ms).items():
        for place, visit in enumerate(visits):
            end = visits[place + 1][0].offset if place + 1 < len(visits) else 10**9
            own: list[Recommendation] = []
            for one in by_session[partition, name]:
                if not visit[0].offset <= one.source.offset < end:
                    continue
                if own and one.source.offset <= own[-1].source.offset:
                    found.counts["repeats"] += 1
                else:
                    own.append(one)
            _count(found, visit, own)
    return found


def _count(found: Recount, visit: list[ClickRow], own: list[Recommendation]) -> None:
    times = {row.offset: row.at_ms for row in visit}
    experiments = {one.experiment: set[str]() for one in own if one.experiment}
    for one in own:
        key = key_of(one)
        found.lists[key] += 1
        found.items[key] |= {entry.item_id for entry in one.items}
        if times[one.source.offset] >= 0:
            found.latency[key].append(max(0, one.published_ts - times[one.source.offset]))
        if one.experiment:
            experiments[one.experiment].add(key)
    mixed = {name for name, keys in experiments.items() if len(keys) > 1}
    found.mixed.update(mixed)
    for key in {key_of(one) for one in own if one.experiment not in mixed}:
        found.shown[key] += 1
    ranks: dict[str, list[int]] = defaultdict(list)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in visit:
        assert row.click is not None
        found.counts["clicks"] += 1
        answers = [one for one in own if one.source.offset >= row.offset]
        if not answers:
            found.counts["open"] += 1
            continue
        what, judge = _judge(visit, row, own)
        found.counts[what] += 1
        if judge is not None and judge.experiment not in mixed:
            ids = [entry.item_id for entry in judge.items]
            rank = ids.index(row.click.item_id) + 1 if row.click.item_id in ids else 0
            ranks[key_of(judge)].append(rank)
            if rank and judge.teams:
                votes[key_of(judge)][judge.teams[rank - 1]] += 1
    for key, places in ranks.items():
        tally = found.tallies.setdefault(key, Tally())
        tally.add(len(places), sum(place > 0 for place in places), sum(1 / place for place in places if place))
    for key, cast in votes.items():
        best = [team for team, count in cast.items() if count == max(cast.values())]
        if len(best) == 1:
            found.preferred[key][best[0]] += 1


def _judge(visit: list[ClickRow], row: ClickRow, own: list[Recommendation]) -> tuple[str, Recommendation | None]:
    assert row.click is not None
    if row.click.type in ("skip", "dislike"):
        return "passed", None
    if row.offset == visit[0].offset:
        return "first", None
    before = [one for one in own if one.source.offset < row.offset][-KEPT:]
    if not before:
        return "missing", None
    in_time = [one for one in before if row.at_ms < 0 or one.published_ts <= row.at_ms]
    return ("judged", in_time[-1]) if in_time else ("late", None)
