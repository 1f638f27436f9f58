"""Tests of `model.learn.batches.feedback`: which events are asked, a session's own negatives, what targets count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from export.errors import ConfigError
from model.errors import TrainingError
from model.learn.batches.batch import touched_rows
from model.learn.batches.feedback import Feedback, OwnNegatives, asked
from model.learn.batches.negatives import Candidates
from model.learn.train import Trainer
from model.learn.validation import next_click_ranks
from model.nets.encoders import new_encoder
from tests.model.feedback import disliked_log, typed_log
from tests.model.logs import session_log
from tests.model.tiny import padded, tiny_log, tiny_preset

CPU = torch.device("cpu")
ONE = [(1, "skip"), (2, "click"), (3, "skip"), (4, "dislike"), (5, "order"), (6, "like"), (7, "skip")]


def test_events_are_asked_where_the_answer_is_used_and_never_before_the_first_wanted_one() -> None:
    found = asked(typed_log([ONE, [(1, "click"), (2, "click")]]))
    # click 2 -> order 5, dislike 4 (right before it) -> order 5, order 5 -> like 6; skip 3 is in the midst of a run
    assert found.target.tolist() == [-1, 4, -1, 4, 5, -1, -1, 8, -1]
    assert found.ends.tolist() == [6, 9]


def test_without_skips_every_event_but_the_last_is_asked() -> None:
    log = tiny_log(20)
    target = asked(log).target
    last = log.offsets[1:] - 1
    assert (target[last] == -1).all()
    rest = np.setdiff1d(np.arange(log.clicks), last)
    assert (target[rest] == rest + 1).all()


def batch_of(log_sessions: list[list[tuple[int, str]]], items: int = 12, **options: object):  # type: ignore[no-untyped-def]
    log = typed_log(log_sessions, items)
    feedback = Feedback(log, tiny_preset(**options))
    return feedback.batch(np.arange(log.sessions), step=0, rank=0, row=16, device=CPU)


def test_a_typed_batch_holds_kinds_beside_items_and_no_negative_as_a_target() -> None:
    batch = batch_of([ONE], typed=True)
    assert batch.ids.flatten().tolist()[:5] == [1, 2, 3, 4, 5]  # up to the event before the last wanted one
    assert batch.kinds.flatten().tolist()[:6] == [5, 1, 5, 6, 3, 0]
    assert batch.asked()[0].tolist() == [5, 5, 6]


def test_without_typed_inputs_skips_are_not_read() -> None:
    batch = batch_of([ONE], own=4)
    assert batch.kinds is None
    assert batch.ids.flatten().tolist()[:3] == [2, 5, 0]
    assert batch.asked()[0].tolist() == [5, 6]


def test_own_negatives_are_those_of_the_session_and_none_that_it_wanted_too() -> None:
    log = typed_log([[(1, "skip"), (2, "click"), (2, "skip"), (1, "skip"), (3, "like"), (4, "dislike")], ONE])
    own = OwnNegatives.of(log)
    assert own.items.tolist() == [1, 4, 1, 3, 4, 7]
    assert own.events.tolist() == [0, 5, 6, 8, 9, 12]
    assert own.offsets.tolist() == [0, 2, 6]
    items, _ = own.draw(np.array([1, 0]), 3, np.random.default_rng(0))
    assert set(items[0].tolist()) < {1, 3, 4, 7}
    assert items[1].tolist() == [1, 4, 0]


@pytest.mark.parametrize("typed", [False, True])
def test_own_negatives_before_a_position_leave_out_what_comes_later(typed: bool) -> None:
    whole, before = (batch_of([ONE], typed=typed, own=4, own_of=of) for of in ("session", "before"))
    assert whole.own.tolist() == [[1, 3, 4, 7]] * len(whole.asked()[0])
    assert before.own.tolist()[0] == [1, 0, 0, 0]  # at click 2
    assert before.own.tolist()[-1] == [1, 3, 4, 0]  # at order 5


def test_weights_are_one_on_average_and_as_many_times_larger_as_asked() -> None:
    batch = batch_of([ONE, [(1, "click"), (2, "click"), (3, "order")]], target_weights=(("order", 4.0),), own=1)
    click, order = batch.weights[2], batch.weights[0]
    assert float(order / click) == pytest.approx(4.0)
    assert float(batch.weights.mean()) == pytest.approx(1.0)
    assert batch.weights.tolist() == [order, click, click, order]


def test_a_preference_moves_weight_between_clicks_and_orders() -> None:
    feedback = Feedback(disliked_log(orders=0.2), tiny_preset(preference=True, typed=True))
    batch = feedback.batch(np.arange(40), step=3, rank=0, row=16, device=CPU)
    again = feedback.batch(np.arange(40), step=3, rank=0, row=16, device=CPU)
    assert batch.preference is not None
    assert again.preference is not None
    assert batch.preference.tolist() == again.preference.tolist()
    assert 0 <= float(batch.preference.min()) < 0.2 < 0.8 < float(batch.preference.max()) <= 1
    sides = feedback._sides
    assert sides[1] > 3 * sides[0]  # one target of five is an order
    preference = batch.preference[batch.asked()[1]].numpy()
    expected = {float(np.float32(p * sides[1])) for p in preference} | {float((1 - p) * sides[0]) for p in preference}
    assert batch.weights is not None
    assert all(min(abs(w - e) for e in expected) < 1e-5 for w in batch.weights.tolist())


def test_events_of_a_log_that_does_not_say_what_they_are_are_clicks() -> None:
    feedback = Feedback(session_log([[1, 2, 3]]), tiny_preset(own=3, typed=True))
    batch = feedback.batch(np.array([0]), step=0, rank=0, row=16, device=CPU)
    assert batch.kinds is not None
    assert batch.kinds.flatten().tolist()[:3] == [1, 1, 0]
    assert batch.own is not None
    assert not batch.own.any()


def test_a_preference_without_orders_is_refused() -> None:
    with pytest.raises(TrainingError, match="both sides"):
        Feedback(typed_log([[(1, "click"), (2, "click")]]), tiny_preset(preference=True))


@pytest.mark.parametrize(
    "options",
    [{"typed": True, "masked": True}, {"own": -1}, {"own": 3, "own_weight": 0.0}, {"target_weights": (("skip", 1.0),)}],
)
def test_options_without_a_meaning_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        tiny_preset(**options)


def test_touched_rows_have_the_own_negatives_among_them() -> None:
    batch = batch_of([ONE], own=4)
    candidates = Candidates(torch.tensor([9]), None, torch.empty(0, dtype=torch.int64))
    ids, mapped, _ = touched_rows(batch, candidates)
    assert ids.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    assert ids[mapped.own].tolist() == batch.own.tolist()


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@pytest.mark.parametrize("positions", ["start", "end"])
def test_a_typed_encoder_serves_what_it_is_trained_on(kind: str, positions: str) -> None:
    preset = tiny_preset(typed=True, preference=True, kind=kind, positions=positions, dropout=0.0)
    encoder = new_encoder(preset, 12).eval()
    with torch.no_grad():
        torch.nn.init.normal_(encoder.preference.outer.weight)
        log = typed_log([ONE], 12)
        assert log.kinds is not None
        batch = Feedback(log, preset).batch(np.array([0]), step=0, rank=0, row=16, device=CPU)
        trained = encoder(batch)[4:5]  # at the order, as 5 of its events are read
        ids, kinds = padded([log.items[:5]]), torch.from_numpy(log.kinds[:5].astype(np.int64))[None]
        served = encoder.last(ids, kinds=kinds, preference=batch.preference)
        other = encoder.last(ids, kinds=torch.ones_like(kinds), preference=batch.preference)
        assert batch.preference is not None
        elsewhere = encoder.last(ids, kinds=kinds, preference=1.0 - batch.preference)
    torch.testing.assert_close(served, trained, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(served, other, atol=1e-3)
    assert not torch.allclose(served, elsewhere, atol=1e-3)


def test_predictions_are_the_wanted_events_after_the_first_with_and_without_types() -> None:
    log = disliked_log(30)
    assert log.items[log.predicted].tolist() == log.wanted().items[log.wanted().predicted].tolist()
    for typed in (False, True):
        encoder = new_encoder(tiny_preset(typed=typed), 40).eval()
        assert len(next_click_ranks([encoder], log, row=16)) == len(log.predicted)


@pytest.mark.slow
def test_a_preset_without_feedback_learns_from_wanted_events_alone() -> None:
    log, valid = disliked_log(60), disliked_log(20, seed=5)
    preset = tiny_preset(dropout=0.0)
    found, expected = (Trainer(one, valid, preset, run="").run() for one in (log, log.wanted()))
    assert found.history == expected.history


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"typed": True}, {"own": 4}, {"typed": True, "own": 4, "kind": "gru"}, {"typed": True, "own": 4, "lazy": True}],
)
def test_training_with_feedback_learns_and_repeats(options: dict[str, object]) -> None:
    log, valid = disliked_log(120), disliked_log(40, seed=5)
    preset = tiny_preset(dropout=0.0, **options)
    first, second = (Trainer(log, valid, preset, run="").run() for _ in range(2))
    assert first.valid == second.valid
    assert first.history[-1]["loss"] < first.history[0]["loss"]


@pytest.mark.slow
def test_own_negatives_push_what_was_skipped_below_what_was_clicked() -> None:
    log, valid = disliked_log(200), disliked_log(40, seed=5)

    def share(preset) -> float:  # type: ignore[no-untyped-def]
        encoder = Trainer(log, valid, preset, run="").run().encoders[0]
        own = OwnNegatives.of(valid)
        with torch.no_grad():
            wins = []
            for session in range(valid.sessions):
                wanted = valid.wanted().session(session)
                hidden = encoder.last(padded([wanted[:-1][-10:]]))[0]
                scores = encoder.table @ hidden
                skipped = own.items[own.offsets[session] : own.offsets[session + 1]]
                wins += (scores[int(wanted[-1])] > scores[torch.from_numpy(skipped.astype(np.int64))]).tolist()
        return float(np.mean(wins))

    plain = tiny_preset(dropout=0.0, epochs=4)
    assert share(replace(plain, negatives=replace(plain.negatives, own=8, own_weight=4.0))) > share(plain)
