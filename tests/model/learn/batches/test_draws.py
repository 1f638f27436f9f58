"""What a step sees follows from the seed, the step and the process, and is the same whenever it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.learn.batches.batch import touched_rows
from model.learn.batches.draws import Draws
from model.learn.batches.negatives import Candidates
from model.learn.distributed import ALONE, Team
from tests.model.tiny import tiny_log, tiny_logq, tiny_preset


def draws_of(team: Team = ALONE, preset: Any = None, **options: Any) -> Draws:
    return Draws(tiny_log(50), preset or tiny_preset(**options), device=torch.device("cpu"), team=team)


def negatives(draws: Draws, step: int) -> torch.Tensor:
    _, candidates = draws.draw(torch.arange(4), step=step, sampler=draws.comparison(0.0).sampler)
    assert isinstance(candidates, Candidates)
    assert candidates.ids is not None
    return candidates.ids


def test_sessions_every_one_is_in_one_step_of_each_epoch() -> None:
    draws = draws_of(batch=16)
    first, second = (torch.cat([draws.sessions(epoch, step) for step in range(4)]) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    assert len(draws.sessions(0, 3)) == 2


def test_sessions_of_the_newest_alone_a_pass_is_one_over_them() -> None:
    draws = draws_of(batch=16, newest_sessions=20)
    assert sorted(torch.cat([draws.sessions(0, step) for step in range(2)]).tolist()) == list(range(30, 50))
    assert draws.preset.train.steps(50) == (2, 4)


def test_sessions_of_an_earlier_epoch_are_the_same_when_asked_for_again() -> None:
    draws = draws_of()
    first = draws.sessions(0, 1)
    draws.sessions(1, 0)
    assert torch.equal(draws.sessions(0, 1), first)
    assert torch.equal(draws_of().sessions(0, 1), first)
    assert not torch.equal(draws_of(seed=3).sessions(0, 1), first)


def test_draw_negatives_follow_from_step_and_process() -> None:
    assert torch.equal(negatives(draws_of(), 5), negatives(draws_of(), 5))
    assert not torch.equal(negatives(draws_of(), 5), negatives(draws_of(), 6))
    assert not torch.equal(negatives(draws_of(), 5), negatives(draws_of(Team(1, 2)), 5))


def test_draw_masks_follow_from_the_step() -> None:
    draws = draws_of(masked=True)
    sampler = draws.comparison(0.0).sampler
    one, again, other = (draws.draw(torch.arange(20), step=step, sampler=sampler)[0].ids for step in (3, 3, 4))
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)


@pytest.mark.parametrize(("done", "count"), [(0.0, 4), (0.74, 4), (0.76, 20), (1.0, 20)])
def test_comparison_the_last_part_of_a_training_has_its_own(done: float, count: int) -> None:
    draws = draws_of(preset=tiny_logq(popular=4, popular_at_end=20, ending=0.25))
    assert draws.comparison(done).sampler.per_batch == count


def test_touched_rows_are_the_places_of_the_ids_that_occur() -> None:
    draws = draws_of()
    batch, candidates = draws.draw(torch.arange(4), step=0, sampler=draws.comparison(0.0).sampler)
    ids, moved, places = touched_rows(batch, candidates)
    assert isinstance(candidates, Candidates)
    assert isinstance(places, Candidates)
    assert ids[0] == 0
    assert (ids.diff() > 0).all()
    assert torch.equal(ids[moved.ids], batch.ids)
    assert torch.equal(ids[moved.targets], batch.targets)
    assert candidates.ids is not None
    assert places.ids is not None
    assert torch.equal(ids[places.ids], candidates.ids)
