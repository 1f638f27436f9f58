"""The benches of feedback: what they cut, ask and sum up; nothing is trained here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.learning import behaviours, returning
from bench.learning.feedback import VARIANTS, WITH_TARGETS, chosen, jobs, table, table_of_pushes, to_reach
from bench.learning.prefixes import ranks_of, refused, repeats, vectors
from bench.learning.small import FILES, MIN_SUPPORT, RATES, file_of, in_order, kept
from export.errors import ConfigError
from model.data.log import SessionLog
from model.data.readers import KINDS, ReadOptions, build_log, read_log
from model.nets.encoders import new_encoder
from tests.model.feedback import disliked_log, typed_log
from tests.model.tiny import tiny_preset

OPTIONS = {
    "what": "variants",
    "presets": ["tron", "sasrec"],
    "variants": list(VARIANTS),
    "counts": [16, 64],
    "seeds": [0, 1],
    "epochs": None,
    "hidden": 32,
    "uniform": 128,
    "own_of": None,
    "own_weight": None,
    "threads": 1,
}


def asked(**options: Any) -> argparse.Namespace:
    return argparse.Namespace(**{**OPTIONS, **options})


def test_every_variant_is_the_preset_it_is_called_after() -> None:
    for job in jobs("kuairand", asked()):
        one = chosen(job, asked())
        typed, own = job["variant"] in ("inputs", "both"), job["variant"] in ("targets", "both")
        assert (one.encoder.typed, one.negatives.own > 0) == (typed, own)
        assert one.negatives.each == (job["preset"] == "sasrec")


def test_the_number_of_random_negatives_is_what_differs() -> None:
    found = [chosen(job, asked(what="negatives")) for job in jobs("kuairand", asked(what="negatives"))]
    assert {one.negatives.uniform for one in found} == {16, 64}
    assert {one.negatives.own > 0 for one in found} == {False, True}


def test_skips_of_the_same_time_follow_what_was_clicked(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("session_id,item_id,timestamp,type\na,1,1,click\na,2,5,skip\na,3,5,skip\na,4,5,order\n")
    log = build_log(in_order(read_log(file, ReadOptions(kinds=frozenset(KINDS)))))
    assert [log.vocabulary.items[item - 1] for item in log.items] == ["1", "4", "2", "3"]


def row(variant: str, curve: list[tuple[float, float, float]], **more: Any) -> dict[str, Any]:
    same = {
        "dataset": "d",
        "preset": "tron",
        "seed": 0,
        "uniform": 8,
        "epochs": 2,
        "hidden": 4,
        "own_of": "",
        "seconds": 1.0,
    }
    measures = dict.fromkeys(("recall@20", "mrr@20", "leave out", "pairwise", "pairwise_hard"), 0.5)
    return {**same, **measures, "variant": variant, "curve": curve, "seconds": 1.0, **more}


def test_time_to_reach_is_a_share_of_that_of_the_model_without_feedback() -> None:
    plain = row("nothing", [(10.0, 0.1, 0.5), (20.0, 0.1, 0.7), (30.0, 0.1, 0.6)])
    quick = row("targets", [(5.0, 0.1, 0.6), (10.0, 0.1, 0.8)])
    never = row("inputs", [(5.0, 0.1, 0.6)])
    rows = [plain, quick, never]
    assert table_of_pushes(rows).row_count == 0
    assert [to_reach(rows, one) for one in rows] == [1.0, 0.5, None]
    assert to_reach([quick], quick) is None
    assert table(rows).row_count == 3


def test_a_result_that_is_there_is_not_measured_again(tmp_path: Path) -> None:
    (job, *_) = jobs("kuairand", asked())
    file = tmp_path / "rows.jsonl"
    assert kept(file, job, lambda: {"recall@20": 0.3}) == {**job, "recall@20": 0.3}
    assert kept(file, job, lambda: {"recall@20": 0.5}) == {**job, "recall@20": 0.3}
    assert kept(file, {**job, "seed": 7}, lambda: {"recall@20": 0.5})["recall@20"] == 0.5


def test_own_negatives_are_of_what_was_asked_and_only_where_there_are_some() -> None:
    options = asked(own_of=["session", "before"])
    found = jobs("kuairand", options)
    of = {name: {job["own_of"] for job in found if job["variant"] == name} for name in VARIANTS}
    assert of == {name: {"session", "before"} if name in WITH_TARGETS else {""} for name in VARIANTS}
    told = {(job["own_of"], chosen(job, options).negatives.own_of) for job in found if job["own_of"]}
    assert told == {("session", "session"), ("before", "before")}


@pytest.mark.parametrize("typed", [False, True])
def test_ranks_are_of_wanted_events_and_what_was_refused_before_can_be_left_out(typed: bool) -> None:
    log = disliked_log(20)
    encoder = new_encoder(tiny_preset(typed=typed), 40).eval()
    ranks, without = ranks_of(encoder, log)
    assert len(ranks) == len(log.predicted)
    assert (without <= ranks)[without < 1 << 30].all()
    assert (without < ranks).any()


def test_push_moves_away_from_what_was_refused_last_and_else_nothing() -> None:
    log = disliked_log(20)
    encoder = new_encoder(tiny_preset(), 40).eval()
    chosen = np.flatnonzero(log.lengths > 4)
    starts, ends = log.offsets[chosen], log.offsets[chosen + 1]
    plain, moved = (vectors(encoder, log, starts, ends, push=push) for push in (0.0, 1.0))
    table = encoder.table.detach()
    for place, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        no = refused(log, np.arange(start, end))
        assert set(no).isdisjoint(log.items[end - 1 : end][log.is_wanted[end - 1 : end]].tolist())
        fell = (plain[place] - moved[place]) @ torch.nn.functional.normalize(table[no], dim=1).sum(dim=0)
        assert float(fell) >= -1e-5
        assert bool(no) or torch.equal(plain[place], moved[place])
    assert not torch.equal(plain, moved)


def test_refused_is_what_a_session_said_no_to_last() -> None:
    log = typed_log([[(1, "dislike"), (2, "skip"), (3, "click"), (1, "click"), (3, "dislike")]])
    assert refused(log, np.arange(5)) == [2, 3]
    assert refused(log, np.arange(2)) == [1, 2]


def test_repeats_are_of_the_wanted_event_before() -> None:
    log = typed_log([[(1, "click"), (2, "skip"), (1, "order"), (2, "click")], [(2, "skip"), (2, "click"), (2, "like")]])
    assert repeats(log).tolist() == [True, False, True]


def test_a_preference_is_asked_of_the_model_that_is_told_it_alone() -> None:
    told = [name for name, options in behaviours.MODELS.items() if options.get("preference")]
    assert told == ["typed, preference"]
    rows = [{"model": "tron", "preference": None, "clicks": 0.1, "orders": 0.2, "best": 1.0, "seconds": 1.0}]
    assert behaviours.table(rows).row_count == 1


def test_a_model_for_one_side_is_asked_for_that_alone() -> None:
    log = typed_log([[(1, "click"), (2, "order"), (3, "like"), (4, "cart"), (5, "skip"), (6, "click")]])
    sides = {side: behaviours.side_of(log, side) for side in behaviours.SIDES}
    assert sides["orders"].tolist() == [True, False, True, False]
    assert sides["clicks"].tolist() == [False, True, False, True]
    for side, silent in (("clicks", {"cart", "order"}), ("orders", {"click", "like"})):
        weights = behaviours.MODELS[f"{side} alone"]["target_weights"]
        assert {kind for kind, weight in weights if weight == 0} == silent


def test_states_of_users_last_and_those_of_visits_do_not(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    hour = 3_600_000
    times = [(user, 1_700_000_000_000 + visit * hour + user) for visit in range(4) for user in range(3)]
    lines = [f"{user},{n},{ts},like" for n, (user, ts) in enumerate(times)]
    file.write_text("session_id,item_id,timestamp,type\n" + "\n".join(lines) + "\n")
    raw = read_log(file)
    users, visits = (returning.states(raw, timeout) for timeout in (returning.DAYS_MS, returning.GAP_MS))
    assert users["bytes"] > visits["bytes"]
    assert (users["open_most"], visits["open_most"]) == (3, 3)
    assert users["open_mean"] > visits["open_mean"]


def test_likes_inside_a_visit_are_those_soon_after_another() -> None:
    log: SessionLog = typed_log([[(1, "like"), (2, "like"), (3, "like")]])
    later = SessionLog(log.items, log.offsets, np.array([0, 1_000, 5_000_000]), log.vocabulary)
    assert returning.within_visits(later).tolist() == [True, False]


def test_no_data_set_is_asked_for_without_a_name(tmp_path: Path) -> None:
    assert set(FILES) == set(MIN_SUPPORT) == set(RATES)
    with pytest.raises(ConfigError, match=r"kuairand_feedback\.parquet, not found in .*--data-dir"):
        file_of(tmp_path, "kuairand")
