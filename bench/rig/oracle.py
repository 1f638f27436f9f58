"""What must come out: the same clicks folded in the order of their offsets, and ranked, by this process alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import Message

from bench.rig.clients import Sent
from export.ranking.ranker import Ranker
from stream.messages.contract import Recommendation
from stream.partition.positions import is_reserved
from stream.partition.session import SessionState, decode_state, fold_click, ranking_items

__all__ = ["assert_lists", "folded", "stored"]

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
    seen = [states[name].items if exclude_seen else () for name in names]
    ranked = ranker.rank_items([ranking_items(states[name]) for name in names], k, seen)
    for name, expected in zip(names, ranked, strict=True):
        found = last[name]
        assert found.model == ranker.version
        assert found.source.offset == states[name].offset
        assert found.fallback == expected.fallback
        assert_same_order([(item.item_id, item.score) for item in found.items], expected.items)


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
