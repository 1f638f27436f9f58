"""What must come out: the same clicks folded in the order of their offsets, and ranked, by this process alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Message

from bench.rig.clients import Sent
from export.experiments.interleave import coins
from export.policy.config import ListsConfig, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker
from stream.messages.contract import Recommendation
from stream.partition.positions import is_reserved
from stream.partition.session import SessionState, decode_state, fold_click

__all__ = ["assert_drafted", "assert_lists", "assert_same_order", "folded", "stored"]

_TIE = 1e-4  # scores nearer to each other than this may change places: batches of other sizes round differently


def folded(sent: Iterable[Sent]) -> dict[str, SessionState]:
    """The state of each session after all its clicks."""
    states: dict[str, SessionState] = {}
    for one in sorted(sent, key=lambda one: (one.partition, one.offset)):
        name = one.click.session_id
        states[name] = fold_click(states.get(name), one.click, one.offset, record_ms=one.record_ms)
    return states


def stored(changelog: Iterable[Message]) -> dict[str, SessionState]:
    """The state of each session that the changelog holds, as compaction would leave it."""
    rows = {message.key() or b"": message.value() for message in changelog}
    sessions = {key: value for key, value in rows.items() if value is not None and not is_reserved(key)}
    return {key.decode(): decode_state(value) for key, value in sessions.items()}


def assert_lists(
    last: Mapping[str, Recommendation],
    states: Mapping[str, SessionState],
    ranker: Ranker,
    k: int = 20,
    *,
    exclude_seen: bool = False,
) -> None:
    """Every session's last list is the ranker's for its state: items in order, model, source and time of the click."""
    names = sorted(states)
    policy = Policy(exclude=("seen",)) if exclude_seen else Policy()
    maker = ListMaker(ranker, ListsConfig.single(k, policy))
    made = maker.make([Shopper(states[name].items, states[name].kinds) for name in names])
    for name, (expected,) in zip(names, made, strict=True):
        found = last[name]
        assert found.model == ranker.version
        assert found.source.offset == states[name].offset
        assert found.fallback == expected.fallback
        assert_same_order([(item.item_id, item.score) for item in found.items], expected.items)


def assert_drafted(found: Recommendation, lists: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    """An interleaved list is what team draft makes of its teams' lists, given in the variants' order; but for ties."""
    teams, flips, taken = list(lists), 0, set[str]()
    flipped = coins(found.experiment, found.session_id, found.source.offset)
    assert len(found.items) == len(found.teams)
    picks = dict.fromkeys(teams, 0)
    for item, team in zip(found.items, found.teams, strict=True):
        behind = min(teams, key=picks.__getitem__)
        if picks[teams[0]] == picks[teams[1]]:
            behind, flips = teams[flipped >> flips & 1], flips + 1
        assert team == behind, f"{team} picked in the place of {behind}: {found}"
        best = next(score for name, score in lists[team] if name not in taken)
        scores = dict(lists[team])
        assert item.item_id in scores, f"an item that {team} has not: {found}"
        assert abs(item.score - scores[item.item_id]) <= _TIE, found
        assert abs(item.score - best) <= _TIE, f"{item.item_id} is not the best of {team}: {found}"
        assert item.item_id not in taken, f"an item twice: {found}"
        taken.add(item.item_id)
        picks[team] += 1


def assert_same_order(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    """The same items at the same places, but for ties, and the same scores."""
    assert len(found) == len(expected)
    scores = dict(expected)
    for (item, score), (_, expected_score) in zip(found, expected, strict=True):
        assert abs(score - expected_score) <= _TIE, (found, expected)
        assert abs(scores.get(item, score) - score) <= _TIE, (found, expected)
    assert len({item for item, _ in found}) == len(found), f"an item twice: {found}"
    at_edge = [item for item, score in found if item not in scores and abs(score - expected[-1][1]) > _TIE]
    assert not at_edge, f"items that do not belong there: {at_edge}"
