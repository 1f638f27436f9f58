"""What the pipeline publishes of lists: whose experiment they are of, and none that waited too long."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stream.messages.contract import decode_recommendation
from stream.partition.session import SessionState
from stream.path import pipeline as module
from stream.path.answers import Answer, ItemRanker, ServedBy
from stream.path.commit import RankStates
from stream.path.lists import ShopLists
from tests.stream.path.test_pipeline import Bench, scenario


class OneVariant:
    """An experiment of all sessions but `s1`."""

    def answers(
        self, sessions: Sequence[tuple[str, SessionState]], live: ItemRanker | None, rank: RankStates
    ) -> list[Answer]:
        lists = rank([state for _, state in sessions], live)
        by = ServedBy("new", "b", "8", ("b",))
        return [one if name == "s1" else one._replace(by=by) for (name, _), one in zip(sessions, lists, strict=True)]


def test_lists_of_an_experiment_say_so_and_the_others_do_not() -> None:
    async def run() -> None:
        bench = Bench(plan=OneVariant())
        await bench.publish(3)
        values = [m.value or b"" for m in bench.publisher.messages if m.topic == "recommendations"]
        found = {one.session_id: one for one in map(decode_recommendation, values)}
        for name in ("s0", "s2"):
            one = found[name]
            assert (one.experiment, one.variant, one.model, one.teams) == ("new", "b", "8", ["b"])
        assert (found["s1"].experiment, found["s1"].variant, found["s1"].model) == ("", "default", "7")
        assert all(b"experiment" not in value and b"teams" not in value for value in values if b'"s1"' in value)
        await bench.pipeline.stop()

    scenario(run)


def test_lists_that_waited_too_long_are_made_again_before_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def count(states: Any, ranker: Any) -> Any:
        nonlocal made
        made += 1
        return [Answer((), fallback=True) for _ in states]

    async def run(*, old_s: float, expected: int) -> None:
        nonlocal made
        made = 0
        monkeypatch.setattr(module, "_OLD_S", old_s)
        bench = Bench()
        bench.pipeline._path._lists = cast(ShopLists, SimpleNamespace(answers=count))
        await bench.publish(1)
        assert made == expected
        await bench.pipeline.stop()

    scenario(lambda: run(old_s=60.0, expected=1))
    scenario(lambda: run(old_s=-1.0, expected=2))
