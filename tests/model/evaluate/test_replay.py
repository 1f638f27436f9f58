"""An experiment on history: the hash assigns, the ranker ranks, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.rig.toy import toy_bundle
from export.errors import ConfigError
from export.experiments.experiment import BUCKETS, Experiment, Variant
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.config import ListsConfig, Policy
from export.ranking.ranker import Ranker
from model.data.readers import RawLog, ReadOptions, read_log
from model.data.readers.build import build_log
from model.evaluate.replay import ReplayConfig, replay_experiment, session_names

ITEMS = 60
BEGIN = 1_700_000_000_000  # ms since the epoch


@pytest.fixture(scope="module")
def rankers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ranker]:
    """Two models whose lists differ."""
    folder = tmp_path_factory.mktemp("toys")
    return {
        name: Ranker(toy_bundle(folder / name, items=ITEMS, k_max=20, seed=seed))
        for seed, name in enumerate(("control", "challenger"))
    }


@pytest.fixture
def raw(tmp_path: Path, rankers: dict[str, Ranker]) -> RawLog:
    """Sessions over the models' items, one that they do not know among them."""
    names = [*rankers["control"].vocabulary.items, "unknown"]
    rng = np.random.default_rng(0)
    lines = []
    for session in range(300):
        for place in range(int(rng.integers(1, 7))):
            item, ts = names[int(rng.integers(0, len(names)))], BEGIN + session * 60_000 + place * 1000
            lines.append(f"shopper-{session},{item},{ts}")
    file = tmp_path / "log.csv"
    file.write_text("session_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    return read_log(file, ReadOptions())


def test_session_names_are_those_of_the_log(raw: RawLog) -> None:
    log, names = build_log(raw), session_names(raw)
    assert len(names) == log.sessions == len(set(names))
    items = {name: log.vocabulary.decode(log.session(place).tolist()) for place, name in enumerate(names)}
    whole: dict[str, list[str]] = {}
    ids, item_names = raw.session_ids.to_pylist(), raw.item_names()
    for session, item in zip(raw.sessions.tolist(), raw.items.tolist(), strict=True):
        whole.setdefault(ids[session], []).append(item_names[item])
    assert items == {name: clicked for name, clicked in whole.items() if len(clicked) > 1}


def test_replay_counts_what_a_recount_by_hand_counts(raw: RawLog, rankers: dict[str, Ranker]) -> None:
    found = replay_experiment(raw, rankers, ReplayConfig(name="x", k=10))
    half = BUCKETS // 2
    experiment = Experiment("x", (Variant("control", share=half), Variant("challenger", share=half)))
    log = build_log(raw)
    sums = {name: [0, 0, 0, 0.0] for name in rankers}
    for place, session in enumerate(session_names(raw)):
        shown = experiment.variant_of(session)
        assert shown is not None
        clicked = log.vocabulary.decode(log.session(place).tolist())
        of = sums[shown.name]
        of[0] += 1
        for at in range(1, len(clicked)):
            ids = [item for item, _ in rankers[shown.name].rank_items([clicked[:at]], 10)[0].items]
            of[1] += 1
            if clicked[at] in ids:
                of[2] += 1
                of[3] += 1 / (ids.index(clicked[at]) + 1)
    for name, (sessions, clicks, hits, reciprocal) in sums.items():
        figures = found.variants[name]
        assert (figures["sessions"], figures["clicks"]) == (sessions, clicks)
        assert figures["hit_rate"] == pytest.approx(hits / clicks)
        assert figures["mrr"] == pytest.approx(reciprocal / clicks)
    assert found.sample_ratio_ok
    told = found.to_json()
    assert (told["uplift"], told["interval"]) == (
        told["against_control"]["challenger"]["uplift"],
        told["against_control"]["challenger"]["interval"],
    )


def test_replay_is_repeatable_to_the_digit_and_another_name_assigns_otherwise(
    raw: RawLog, rankers: dict[str, Ranker]
) -> None:
    one, again = (replay_experiment(raw, rankers).to_json() for _ in range(2))
    assert one == again
    assert replay_experiment(raw, rankers, ReplayConfig(name="other")).to_json() != one


def test_replay_of_a_model_against_itself_prefers_neither(raw: RawLog, rankers: dict[str, Ranker]) -> None:
    same = {"a": rankers["control"], "b": rankers["control"]}
    found = replay_experiment(raw, same, ReplayConfig(interleave=True, k=10))
    assert found.preferred is not None
    told = found.to_json()
    assert (told["uplift"], told["interval"]) == (None, None), "no variant has sessions of its own"
    alone = replay_experiment(raw, same, ReplayConfig(k=10))
    whole = sum(alone.variants[name]["hit_rate"] * alone.variants[name]["clicks"] for name in same)
    drafted = found.variants["interleaved"]
    assert drafted["hit_rate"] * drafted["clicks"] == pytest.approx(whole), "the same list, drafted from itself"


def test_replay_without_seen_items_never_finds_a_repeat(tmp_path: Path, rankers: dict[str, Ranker]) -> None:
    item = rankers["control"].vocabulary.items[0]
    file = tmp_path / "repeats.csv"
    rows = [f"s{number},{item},{BEGIN + number * 1000 + place}" for number in range(40) for place in (0, 1)]
    file.write_text("session_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    found = replay_experiment(read_log(file, ReadOptions()), rankers, ReplayConfig(exclude_seen=True))
    assert all(figures["hit_rate"] == 0 for figures in found.variants.values())


def test_replay_refuses_what_is_no_experiment(raw: RawLog, rankers: dict[str, Ranker]) -> None:
    with pytest.raises(ConfigError, match="two variants"):
        replay_experiment(raw, {"a": rankers["control"]})
    with pytest.raises(ConfigError):
        replay_experiment(raw, rankers, ReplayConfig(k=1000))


@pytest.mark.parametrize("interleave", [False, True])
@pytest.mark.parametrize("seen", [False, True])
def test_replay_by_a_policy_that_says_the_same_finds_the_same(
    raw: RawLog, rankers: dict[str, Ranker], *, interleave: bool, seen: bool
) -> None:
    plain = replay_experiment(raw, rankers, ReplayConfig(k=10, exclude_seen=seen, interleave=interleave)).to_json()
    lists = ListsConfig.single(10, Policy(exclude=("seen",) if seen else ()))
    assert replay_experiment(raw, rankers, ReplayConfig(k=10, lists=lists, interleave=interleave)).to_json() == plain


def test_replay_by_a_policy_leaves_out_what_it_leaves_out(raw: RawLog, rankers: dict[str, Ranker]) -> None:
    table = ItemTable()
    for number in range(1, 41):
        table.put(Item(f"item-{number}", available=False))
    lists = ListsConfig.single(10)
    found = replay_experiment(raw, rankers, ReplayConfig(k=10, lists=lists, table=table)).variants["control"]
    assert found["coverage"] <= 20 / ITEMS
    with pytest.raises(ConfigError, match="not by both"):
        replay_experiment(raw, rankers, ReplayConfig(lists=lists, exclude_seen=True))
