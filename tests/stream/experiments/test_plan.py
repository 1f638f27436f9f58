"""Who is ranked by what: the variant that the hash says, the live model where that one can't, and nobody twice."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from export.experiments.experiment import INTERLEAVED, Experiment, Variant
from export.ranking.ranker import Ranker
from stream.experiments.plan import Plan, RunningExperiment
from stream.experiments.variant import ServedVariant
from stream.messages.contract import Recommendation, decode_recommendation
from stream.ops.metrics import Metrics
from stream.path.answers import ItemRanker
from stream.path.commit import Prepared
from tests.stream.path.test_commit import path
from tests.stream.records import FakeList, batch, click

NAMES = [f"s{number}" for number in range(60)]


class NamedRanker:
    """Lists of its version's own items; fails on any session that holds the item `poison`, or always."""

    k_max = 50

    def __init__(self, version: str, *, broken: bool = False, fallback: bool = False) -> None:
        self.version, self.broken, self.fallback = version, broken, fallback
        self.calls: list[int] = []

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> list[FakeList]:
        self.calls.append(len(sessions))
        if self.broken or any("poison" in session for session in sessions):
            raise ValueError(f"model {self.version} can't")
        return [
            FakeList([(f"{self.version}-{n}-{session[-1]}", 1.0 - n / 100) for n in range(k)], self.fallback)
            for session in sessions
        ]


def running(
    rankers: dict[str, ItemRanker | None], *, name: str = "new", exposure: int = 10_000, failures: int = 3, **more: Any
) -> RunningExperiment:
    """An experiment of equal shares; a variant without a ranker is refused, one named `live` is of no version."""
    share = 10_000 // len(rankers)
    variants = tuple(Variant(n, "" if n == "live" else n, share=share) for n in rankers)
    experiment = Experiment(name, variants, exposure=exposure, **more).check()
    served = tuple(ServedVariant(name, variant, failures) for variant in experiment.variants)
    for one, ranker in zip(served, rankers.values(), strict=True):
        if ranker is not None:
            one.serve(ranker)
        elif one.name != "live":
            one.refuse("damaged", "stop it")
    return RunningExperiment(experiment, served)


class Asked:
    """One batch of clicks of NAMES, ranked by a plan."""

    def __init__(self, plan: list[RunningExperiment], live: ItemRanker | None, items: dict[str, str] | None = None):
        self.metrics = Metrics()
        self.plan = Plan(plan, k=20, metrics=self.metrics)
        self.path = path()
        self.live, self.items = live, items or {}
        self.lists = self.ask()

    def ask(self, names: Sequence[str] = NAMES) -> dict[str, Recommendation]:
        clicks = [click(offset, name, self.items.get(name, "i")) for offset, name in enumerate(names)]
        prepared: Prepared = self.path.prepare(batch(*clicks))
        answers = self.path.rank([prepared], self.live, self.plan)[0]
        messages = self.path.messages(prepared, answers, self.live.version if self.live else "")
        values = [m.value or b"" for m in messages if m.topic == "recommendations"]
        self.rejected = [m for m in messages if m.topic == "clicks.rejected"]
        return {one.session_id: one for one in map(decode_recommendation, values)}

    def sample(self, name: str, variant: str) -> float:
        labels = {"experiment": "new", "variant": variant}
        return self.metrics.registry.get_sample_value(f"nextclick_{name}", labels) or 0.0


def test_each_session_has_the_list_of_the_variant_that_the_hash_says() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")}, exposure=6_000)
    asked = Asked([one], NamedRanker("9"))
    assert list(asked.lists) == NAMES
    seen = set()
    for name, found in asked.lists.items():
        variant = one.experiment.variant_of(name)
        model = {"a": "1", "b": "2"}[variant.name] if variant else "9"
        expected = ("new", variant.name) if variant else ("", "default")
        assert (found.experiment, found.variant, found.model) == (*expected, model)
        assert all(item.item_id.startswith(f"{model}-") for item in found.items)
        assert (found.teams, len(found.items)) == ([], 20)
        seen.add(found.variant)
    assert seen == {"a", "b", "default"}


def test_sessions_of_one_model_are_ranked_in_one_run_and_those_of_the_live_one_with_everybody_else() -> None:
    live, other = NamedRanker("9"), NamedRanker("2")
    asked = Asked([running({"a": live, "b": other, "live": None, "d": other}, exposure=5_000)], live)
    assert (len(live.calls), len(other.calls)) == (1, 1)
    assert live.calls[0] + other.calls[0] == len(NAMES)
    assert {found.variant for found in asked.lists.values()} == {"a", "b", "live", "d", "default"}


def test_a_variant_of_no_version_is_ranked_by_what_is_live_now() -> None:
    asked = Asked([running({"live": None, "b": NamedRanker("2")})], NamedRanker("9"))
    assert {found.model for found in asked.lists.values() if found.variant == "live"} == {"9"}
    asked.live = NamedRanker("10")
    assert {found.model for found in asked.ask().values() if found.variant == "live"} == {"10"}
    asked.live = None
    assert {found.variant for found in asked.ask().values()} == {"default", "b"}


def test_a_variant_that_is_not_served_is_answered_by_the_live_model_which_says_nothing_of_it() -> None:
    one = running({"a": NamedRanker("1"), "b": None})
    asked = Asked([one], NamedRanker("9"))
    unserved = [name for name in NAMES if (v := one.experiment.variant_of(name)) and v.name == "b"]
    for name in NAMES:
        expected = ("", "default", "9") if name in unserved else ("new", "a", "1")
        assert (asked.lists[name].experiment, asked.lists[name].variant, asked.lists[name].model) == expected
    assert asked.sample("variant_unserved_total", "b") == len(unserved) > 0


def test_a_variant_that_fails_is_tried_session_by_session_and_the_live_model_answers_the_rest() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")})
    of_b = [name for name in NAMES if (v := one.experiment.variant_of(name)) and v.name == "b"]
    live = GoodForAll("9")
    asked = Asked([one], live, items={of_b[3]: "poison"})
    assert set(asked.lists) == set(NAMES), "nothing is lost"
    assert asked.rejected == []
    assert (asked.lists[of_b[3]].variant, asked.lists[of_b[3]].model) == ("default", "9")
    assert {asked.lists[name].model for name in of_b} == {"2", "9"}
    assert asked.sample("variant_errors_total", "b") == 1
    assert one.variants[1].state == "served", "one poisoned session is no fault of the variant"


class GoodForAll(NamedRanker):
    def rank_items(self, sessions: Sequence[Sequence[str]], *more: Any) -> list[FakeList]:
        return super().rank_items([["i"]] * len(sessions), *more)


def test_a_click_that_no_model_can_rank_is_rejected_as_without_experiments() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")})
    asked = Asked([one], NamedRanker("9"), items={"s7": "poison"})
    assert set(asked.lists) == set(NAMES) - {"s7"}
    assert [dict(message.headers or [])["reason"] for message in asked.rejected] == [b"ranking_failed"]


def test_a_variant_that_ranks_nobody_is_refused_after_so_many_runs_and_nothing_is_lost_meanwhile() -> None:
    broken = NamedRanker("2", broken=True)
    one = running({"a": NamedRanker("1"), "b": broken}, failures=3)
    asked = Asked([one], NamedRanker("9"))
    for _ in range(2):
        assert one.variants[1].state == "served"
        assert set(asked.ask()) == set(NAMES)
    refused = one.variants[1]
    assert (refused.state, "failed 3 times in a row: ValueError: model 2 can't" in refused.reason) == ("refused", True)
    calls = len(broken.calls)
    assert set(asked.ask()) == set(NAMES)
    assert len(broken.calls) == calls, "it is not asked any more"


def test_a_variant_that_ranks_again_in_between_is_not_refused() -> None:
    ranker = NamedRanker("2")
    one = running({"a": NamedRanker("1"), "b": ranker}, failures=2)
    asked = Asked([one], NamedRanker("9"))
    for broken in (True, False, True, False, True):
        ranker.broken = broken
        asked.ask()
    assert one.variants[1].state == "served"


def test_live_model_that_fails_is_no_reason_to_refuse_a_variant_of_no_version() -> None:
    live = NamedRanker("9", broken=True)
    one = running({"live": None, "b": NamedRanker("2")}, failures=1)
    asked = Asked([one], live)
    assert one.variants[0].state == "served"
    assert len(asked.rejected) + len(asked.lists) == len(NAMES)


def test_the_oldest_experiment_is_asked_first_and_leaves_its_others_to_the_next() -> None:
    first = running({"a": NamedRanker("1"), "b": NamedRanker("2")}, name="first", exposure=5_000)
    second = running({"c": NamedRanker("3"), "d": NamedRanker("4")}, name="second")
    lists = Asked([first, second], NamedRanker("9")).lists
    for name in NAMES:
        inside = first.experiment.variant_of(name) is not None
        assert lists[name].experiment == ("first" if inside else "second")


def test_lists_are_the_same_however_clicks_come_in_batches() -> None:
    """So it is after a crash: what is read again comes in other batches."""
    plan = [running({"a": NamedRanker("1"), "b": NamedRanker("2")}, interleave=True, exposure=7_000)]
    together = Asked(plan, NamedRanker("9"))
    alone = Asked(plan, NamedRanker("9"))
    clicks = [click(offset, name, "i") for offset, name in enumerate(NAMES)]
    for one in clicks:
        prepared = alone.path.prepare(batch(one))
        answers = alone.path.rank([prepared], alone.live, alone.plan)[0]
        value = alone.path.messages(prepared, answers, "9")[-1].value or b""
        found = decode_recommendation(value)
        before = together.lists[found.session_id]
        assert (found.items, found.teams, found.model) == (before.items, before.teams, before.model)


def test_interleaved_lists_have_items_of_both_and_say_whose_each_is() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")}, interleave=True)
    lists = Asked([one], NamedRanker("9")).lists
    beginnings = set()
    for found in lists.values():
        assert (found.experiment, found.variant, found.model) == ("new", INTERLEAVED, "1+2")
        assert len(found.items) == len(found.teams) == 20
        assert {(team, item.item_id[0]) for team, item in zip(found.teams, found.items, strict=True)} == {
            ("a", "1"),
            ("b", "2"),
        }
        assert found.teams.count("a") == 10
        beginnings.add(tuple(found.teams[:4]))
    assert len(beginnings) == 4, "another coin for each session"


@pytest.mark.parametrize("broken", ["a", "b"])
def test_interleaved_lists_of_which_one_half_fails_are_the_live_models(broken: str) -> None:
    rankers: dict[str, ItemRanker | None] = {n: NamedRanker(n, broken=n == broken) for n in ("a", "b")}
    one = running(rankers, interleave=True, failures=100)
    asked = Asked([one], NamedRanker("9"))
    assert {(found.variant, found.model, len(found.teams)) for found in asked.lists.values()} == {("default", "9", 0)}
    assert asked.sample("variant_errors_total", broken) == len(NAMES)


def test_interleaved_with_what_is_live_ranks_it_once() -> None:
    live = NamedRanker("9")
    asked = Asked([running({"live": None, "b": NamedRanker("2")}, interleave=True, exposure=5_000)], live)
    assert live.calls == [len(NAMES)]
    assert {found.model for found in asked.lists.values()} == {"9", "9+2"}


def test_interleaved_experiment_with_a_stopped_variant_takes_nobody() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")}, interleave=True)
    stopped = Variant("b", "b", share=5_000, stopped="too slow")
    experiment = Experiment("new", (one.experiment.variants[0], stopped), interleave=True)
    lists = Asked([RunningExperiment(experiment, (one.variants[0], ServedVariant("new", stopped, 3)))],
                  NamedRanker("9")).lists  # fmt: skip
    assert {found.variant for found in lists.values()} == {"default"}


def test_fallback_of_an_interleaved_list_is_that_of_either() -> None:
    one = running({"a": NamedRanker("1", fallback=True), "b": NamedRanker("2")}, interleave=True)
    assert all(found.fallback for found in Asked([one], NamedRanker("9")).lists.values())


def test_time_of_a_run_is_measured_for_each_variant_in_it() -> None:
    one = running({"a": NamedRanker("1"), "b": NamedRanker("2")})
    asked = Asked([one], NamedRanker("9"))
    for name in ("a", "b"):
        assert asked.sample("variant_rank_seconds_count", name) == 1
    asked.ask(NAMES[:1])
    assert sum(asked.sample("variant_rank_seconds_count", name) for name in ("a", "b")) == 3
    assert one.variants[0].pace.against(one.variants[0].pace)[0] >= 1


def test_a_variant_of_a_preference_ranks_by_it_with_the_live_model() -> None:
    made: list[tuple[Ranker, float]] = []

    class Known(Ranker):
        def __init__(self) -> None:  # no graph is needed
            pass

        def with_preference(self, preference: float) -> Ranker:
            made.append((self, preference))
            return Known()

    first, second = Known(), Known()
    variant = ServedVariant("e", Variant("orders", share=5_000, preference=0.8), failures=3)
    toned = variant.ranker(first)
    assert toned is not first
    assert variant.ranker(first) is toned  # the same object, so that its lists are made by the same maker
    assert variant.ranker(second) is not toned
    assert made == [(first, 0.8), (second, 0.8)]
    assert ServedVariant("e", Variant("plain", share=5_000), failures=3).ranker(first) is first
    assert variant.ranker(None) is None
