"""What `auto` picks follows from the log and the time, and is said."""

from __future__ import annotations

import numpy as np
import pytest

from export.bundle.vocabulary import Vocabulary
from model.auto.rules import PASSES, SLOWER, Choice, choose, for_longer
from model.auto.traits import LogTraits, traits_of
from model.data.log import SessionLog
from model.presets import preset
from tests.model.tiny import tiny_log

AUTO = preset("auto")


def traits(sessions: int = 200_000, clicks_an_item: float = 80.0) -> LogTraits:
    items = round(4 * sessions / clicks_an_item)
    return LogTraits(sessions=sessions, clicks=4 * sessions, items=items, clicks_an_item=clicks_an_item, repeats=0.1)


def test_traits_count_repeats_within_sessions_alone() -> None:
    log = SessionLog(
        items=np.array([1, 1, 2, 2, 2, 3], np.int32),
        offsets=np.array([0, 3, 6], np.int64),
        ts=np.zeros(6, np.int64),
        vocabulary=Vocabulary(["a", "b", "c", "d"]),
    )
    found = traits_of(log)
    assert (found.sessions, found.clicks, found.items) == (2, 6, 4)
    assert found.clicks_an_item == 1.5
    assert found.repeats == pytest.approx(2 / 4)
    assert "2 sessions, 4 items of 1.5 clicks each, 50%" in found.told()


def test_choose_a_large_log_keeps_the_preset() -> None:
    choice = choose(AUTO, traits(), seconds=None)
    assert choice.preset == AUTO
    assert choice.because == (traits().told(),)


def test_choose_a_small_log_takes_smaller_batches_and_says_so() -> None:
    choice = choose(AUTO, traits(sessions=12_000), seconds=None)
    assert choice.preset.train.batch == 100
    assert "batches of 100 sessions" in choice.because[1]
    assert choose(AUTO, traits(sessions=50), seconds=None).preset.train.batch == 64


def test_choose_a_log_of_few_clicks_an_item_drops_more() -> None:
    found = choose(AUTO, traits(clicks_an_item=8.0), seconds=None)
    assert (found.preset.encoder.input_dropout, found.preset.encoder.dropout) == (0.5, 0.2)
    assert "under 30 clicks" in found.because[1]
    given = frozenset({"dropout"})
    mine = choose(AUTO.override(dropout=0.1), traits(clicks_an_item=8.0), seconds=None, given=given)
    assert (mine.preset.encoder.input_dropout, mine.preset.encoder.dropout) == (0.5, 0.1)


def test_choose_leaves_alone_what_was_given_by_hand() -> None:
    given = frozenset({"batch"})
    assert (
        choose(AUTO.override(batch=200), traits(sessions=12_000), seconds=None, given=given).preset.train.batch == 200
    )


def test_choose_a_short_budget_judges_on_fewer_sessions() -> None:
    assert choose(AUTO, traits(), seconds=60).preset.train.valid_sessions == 2_667, "8,000 predictions"
    assert choose(AUTO, traits(), seconds=600).preset.train.valid_sessions == AUTO.train.valid_sessions


def longer(choice: Choice, seconds: float, *given: str, **known: float) -> Choice:
    return for_longer(choice, traits(**known), pass_s=10, seconds=seconds, given=frozenset(given))  # type: ignore[arg-type]


def test_for_longer_takes_the_loss_of_the_best_lists_and_for_still_longer_a_committee() -> None:
    choice = Choice(AUTO.override(dropout=0.35), ("why",))
    enough = 10 * SLOWER * PASSES
    assert longer(choice, enough - 1) is choice
    alone, best = longer(choice, enough), preset("tron+")
    assert (alone.preset.negatives, alone.preset.loss) == (best.negatives, best.loss)
    assert len(alone.preset.members()) == 1
    assert "the best 200 of a large draw" in alone.because[-1]
    three = longer(choice, 3 * enough)
    assert len(three.preset.members()) == 3
    assert {one.encoder.dropout for one in three.preset.members()} == {0.35}
    assert "three encoders" in three.because[-1]
    assert longer(three, 3 * enough) is three


def test_for_longer_takes_transformers_alone_where_an_item_has_few_clicks() -> None:
    few, many = (longer(Choice(AUTO), 1e6, clicks_an_item=clicks) for clicks in (8.0, 80.0))
    assert [one.encoder.kind for one in many.preset.members()].count("gru") == 1
    attending = few.preset.members()
    assert {one.encoder.kind for one in attending} == {"transformer"}
    assert len({(one.encoder.positions, one.train.seed) for one in attending}) == 3
    assert "three Transformers" in few.because[-1]


def test_for_longer_drops_more_and_looks_for_evidence_longer() -> None:
    found = longer(Choice(AUTO), 1e6).preset
    assert {member.encoder.input_dropout for member in found.members()} == {0.3}
    assert (found.train.look_sessions, found.train.patience) == (10_000, 4)
    mine = longer(Choice(AUTO.override(patience=1)), 1e6, "patience", "input_dropout").preset
    assert (mine.encoder.input_dropout, mine.train.patience) == (AUTO.encoder.input_dropout, 1)


def test_traits_of_a_log_of_single_clicks() -> None:
    assert traits_of(tiny_log(1, longest=2)).repeats in (0.0, 1.0)
