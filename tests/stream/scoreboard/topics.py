"""Topics drawn at random, as workers would have filled them: sessions, batches, crashes, clocks that differ."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import NamedTuple

from stream.messages.contract import Click, ClickType, Recommendation, Source, recommended
from tests.stream.scoreboard.recount import ClickRow

__all__ = ["Drawn", "draw"]

BEGIN = 1_700_000_000_000
ITEMS = "abcdefghij"
KINDS: list[ClickType] = ["click", "click", "click", "cart", "skip"]


class Drawn(NamedTuple):
    clicks: dict[int, list[ClickRow]]  # by partition, in order
    lists: dict[int, list[Recommendation]]  # by partition, in order


def draw(seed: int, *, partitions: int = 2, clicks: int = 60, sessions: int = 6, idle_ms: int = 1_000) -> Drawn:
    """Some clicks are unanswered, some answered together, some twice; some are no clicks at all."""
    luck = random.Random(seed)
    names = [f"s{number}" for number in range(sessions)]
    home = {name: luck.randrange(partitions) for name in names}
    now = dict.fromkeys(range(partitions), BEGIN)
    read: dict[int, list[ClickRow]] = defaultdict(list)
    for _ in range(clicks):
        name = luck.choice(names)
        partition = home[name]
        now[partition] += luck.choice([0, 5, 50, 200, idle_ms + 1 if luck.random() < 0.2 else 20])
        at_ms = luck.choice([now[partition]] * 5 + [now[partition] - 30, -1])
        offset = (read[partition][-1].offset + luck.choice([1, 1, 1, 3])) if read[partition] else luck.choice([0, 7])
        click = Click(name, luck.choice(ITEMS), now[partition], luck.choice(KINDS)) if luck.random() < 0.95 else None
        read[partition].append(ClickRow(partition, offset, at_ms, click))
    return Drawn(dict(read), {partition: _lists(luck, rows) for partition, rows in read.items()})


def _lists(luck: random.Random, rows: list[ClickRow]) -> list[Recommendation]:
    """Batch by batch, a list for each session of it; from time to time a worker begins again a little before."""
    found: list[Recommendation] = []
    place = published = 0
    while place < len(rows):
        batch = rows[place : place + luck.choice([1, 1, 2, 5])]
        published = max(published, *(row.at_ms for row in batch)) + luck.choice([1, 10, 100])
        newest = {row.click.session_id: row.offset for row in batch if row.click is not None}
        for name, offset in newest.items():
            if luck.random() < 0.9:  # else the worker could not rank it
                found.append(_list(luck, name, Source("clicks", batch[0].partition, offset), published))
        place += len(batch)
        if luck.random() < 0.1:
            place = max(0, place - luck.choice([1, 3, 6]))
    return found


def _list(luck: random.Random, name: str, source: Source, published: int) -> Recommendation:
    items = recommended([(item, 1.0) for item in luck.sample(ITEMS, luck.choice([0, 3, 5]))])
    kind = luck.choice(["live", "live", name, name, name, "drafted", "other"])
    experiment, variant, teams = "", "default", list[str]()
    if kind == "drafted":
        experiment, variant, teams = "two", "interleaved", [luck.choice("xy") for _ in items]
    elif kind != "live":
        number = int(name[1:]) + (kind == "other" and luck.random() < 0.3)
        experiment, variant = "one", ("control", "challenger")[number % 2]
    model = luck.choice("12")
    return Recommendation(name, items, model, variant, luck.random() < 0.1, source, 0, published, experiment, teams)
