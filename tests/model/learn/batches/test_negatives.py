"""Negatives come from where they should, as often as they should, and never stand against their own target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.learn.batches import negatives
from model.learn.batches.negatives import Candidates, Sampler, inclusion, mask_, stops, systematic
from model.learn.config import LossConfig, NegativesConfig

V = 12
TARGETS = torch.tensor([5, 6, 7, 5, 9])
SESSIONS = torch.tensor([0, 0, 1, 1, 2])
CLICKS = np.array([400, 90, 50, 30, 20, 12, 8, 5, 3, 2, 1, 0])
MIXED: dict[str, Any] = {"uniform": 50, "in_batch": 20}


def sampler(loss: LossConfig | None = None, **options: Any) -> Sampler:
    return Sampler(NegativesConfig(**options), CLICKS, loss=loss or LossConfig())


def drawn(seed: int = 0, loss: LossConfig | None = None, **options: Any) -> Candidates:
    return sampler(loss, **options).draw(TARGETS, SESSIONS, torch.Generator().manual_seed(seed))


def ids_of(candidates: Candidates) -> Tensor:
    assert candidates.ids is not None
    return candidates.ids


def test_draw_uniform_items_are_distinct_and_weigh_as_often_as_they_were_drawn() -> None:
    candidates = drawn(**MIXED)
    assert candidates.bias is not None
    uniform, counts = ids_of(candidates)[:-20], candidates.bias.exp()
    assert (uniform.diff() > 0).all()
    assert set(uniform.tolist()) <= set(range(1, V + 1))
    assert float(counts[:-20].sum()) == pytest.approx(50)
    assert torch.equal(counts[-20:], torch.ones(20))
    assert candidates.counted


def test_draw_in_batch_items_are_targets_of_their_owner() -> None:
    candidates = drawn(**MIXED)
    pairs = set(zip(TARGETS.tolist(), SESSIONS.tolist(), strict=True))
    assert candidates.in_batch == 20
    assert set(zip(ids_of(candidates)[-20:].tolist(), candidates.owners.tolist(), strict=True)) <= pairs


def test_draw_same_seed_gives_the_same_negatives() -> None:
    assert torch.equal(ids_of(drawn(3, **MIXED)), ids_of(drawn(3, **MIXED)))
    assert not torch.equal(ids_of(drawn(3, **MIXED))[-20:], ids_of(drawn(4, **MIXED))[-20:])


def test_draw_without_in_batch_gives_uniform_only() -> None:
    candidates = drawn(uniform=50)
    assert candidates.in_batch == 0
    assert len(ids_of(candidates)) <= V


@pytest.mark.parametrize("name", ["bce", "gbce", "bpr-max"])
def test_draw_only_a_softmax_weighs_columns_by_their_draws(name: Any) -> None:
    candidates = drawn(loss=LossConfig(objective=name), **MIXED)
    assert candidates.bias is None
    assert not candidates.counted


def test_draw_each_gives_every_position_its_own_from_the_whole_catalogue() -> None:
    negatives = sampler(each=300).draw_each(TARGETS, torch.Generator().manual_seed(0))
    assert negatives.shape == (5, 300)
    assert set(negatives.flatten().tolist()) == set(range(1, V + 1))
    assert not torch.equal(negatives[0], negatives[1])


@pytest.mark.parametrize(
    ("options", "everything"),
    [
        ({"everything": True}, True),
        ({"popular": 9}, True),  # three quarters of the catalogue and more: all of it costs less
        ({"popular": 99}, True),
        ({"popular": 8}, False),
        ({"popular": 9, "in_batch": 2}, False),
        ({"popular": 9, "top": 3}, False),
        ({"uniform": 99}, False),
    ],
)
def test_sampler_takes_everything_where_that_costs_less(options: dict[str, Any], everything: bool) -> None:
    one = sampler(**options)
    assert one.everything == everything
    assert (one.draw(TARGETS, SESSIONS, torch.Generator().manual_seed(0)).ids is None) == everything


@pytest.mark.parametrize(
    ("options", "negatives"),
    [
        ({"everything": True}, V - 1),
        ({"uniform": 5, "in_batch": 3}, 8),
        ({"uniform": 100, "in_batch": 3}, V + 3),
        ({"popular": 5}, 5),
        ({"each": 2}, 2),
    ],
)
def test_sampler_says_how_many_negatives_a_position_has(options: dict[str, Any], negatives: int) -> None:
    assert sampler(**options).per_batch == negatives


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 80), st.floats(0.0, 2.0))
def test_inclusion_sums_to_the_count_and_rises_with_popularity(clicks: list[int], count: int, alpha: float) -> None:
    chance = inclusion(np.array(clicks), count, alpha)
    assert chance.sum() == pytest.approx(min(count, len(clicks)))
    assert (chance[np.argsort(clicks, kind="stable")] >= 0).all()
    assert (np.diff(chance[np.argsort(clicks)]) >= -1e-12).all()
    assert chance.max() <= 1.0


def test_inclusion_of_nothing_is_zero_and_alpha_zero_treats_all_alike() -> None:
    assert (inclusion(CLICKS, 0, 0.5) == 0).all()
    assert inclusion(CLICKS, 3, 0.0) == pytest.approx(np.full(V, 3 / V))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 11), st.integers(0, 999))
def test_systematic_draws_distinct_items_and_as_many_as_asked_for(count: int, seed: int) -> None:
    places = systematic(torch.from_numpy(inclusion(CLICKS, count, 0.5)).float(), torch.Generator().manual_seed(seed))
    assert len(set(places.tolist())) == len(places)
    assert abs(len(places) - count) <= 1


def test_systematic_draws_each_item_as_often_as_its_chance() -> None:
    chance, generator = torch.from_numpy(inclusion(CLICKS, 5, 0.5)).float(), torch.Generator().manual_seed(0)
    seen, draws = torch.zeros(V), 4000
    for _ in range(draws):
        seen[systematic(chance, generator)] += 1
    assert (seen[chance == 1.0] == draws).all()
    torch.testing.assert_close(seen / draws, chance, atol=0.03, rtol=0.0)


def test_a_large_catalogue_is_drawn_alike_from_a_line_that_batches_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "LARGE", V)
    one, generator = sampler(popular=5), torch.Generator().manual_seed(0)
    seen, draws = torch.zeros(V + 1), 4000
    for draw in range(draws):
        ids = one.draw(TARGETS, SESSIONS, generator, line_seed=draw // 8).ids
        assert ids is not None
        assert len(ids) in (4, 5, 6)
        seen[ids] += 1
    chance = torch.from_numpy(inclusion(CLICKS, 5, 0.5)).float()
    torch.testing.assert_close(seen[1:] / draws, chance, atol=0.03, rtol=0.0)
    alike = [
        other.draw(TARGETS, SESSIONS, torch.Generator().manual_seed(3), 7).ids for other in (sampler(popular=5), one)
    ]
    assert torch.equal(*(torch.as_tensor(ids) for ids in alike))


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=30), st.floats(0.0, 0.999))
def test_stops_along_a_line_are_those_of_walking_it(chances: list[float], start: float) -> None:
    upto = torch.tensor(chances, dtype=torch.float64).cumsum(0)
    whole = (upto + start).floor().tolist()
    walked = [place for place, (before, after) in enumerate(zip([0.0, *whole], whole, strict=False)) if after > before]
    found = stops(upto, torch.tensor([start], dtype=torch.float64)).tolist()
    assert len(found) == len(walked)
    assert all(abs(one - other) <= 1 for one, other in zip(found, walked, strict=True))  # a sum rounded to a whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"popular": 5}, {"uniform": 6}, {"popular": 4, "uniform": 5}, {"popular": 4, "in_batch": 6}]
)
def test_logq_columns_are_an_unbiased_estimate_of_the_whole_sum(options: dict[str, Any]) -> None:
    """With in-batch draws the batch must be like the log: targets drawn by clicks, sessions apart."""
    scores = torch.randn(V + 1, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    one = sampler(LossConfig(logq=True), **options)
    total, draws = 0.0, 3000
    for _ in range(draws):
        targets = 1 + torch.multinomial(torch.from_numpy(CLICKS).float(), 32, replacement=True, generator=generator)
        candidates = one.draw(targets, torch.arange(32), generator)
        assert candidates.bias is not None
        total += float((scores[ids_of(candidates)] + candidates.bias).exp().sum())
    assert total / draws == pytest.approx(float(scores[1:].exp().sum()), rel=0.03)


@pytest.mark.parametrize("options", [MIXED, {"popular": 7, "in_batch": 20}, {"uniform": 50}, {"everything": True}])
def test_mask_own_target_and_own_session_are_out_and_nothing_else(options: dict[str, Any]) -> None:
    candidates = drawn(**options)
    ids = torch.arange(1, V + 1) if candidates.ids is None else candidates.ids
    scores = torch.zeros(len(TARGETS), len(ids))
    mask_(scores, candidates, TARGETS, SESSIONS)
    shared = len(ids) - candidates.in_batch
    for position, (target, session) in enumerate(zip(TARGETS.tolist(), SESSIONS.tolist(), strict=True)):
        for column, item in enumerate(ids.tolist()):
            own = column >= shared and int(candidates.owners[column - shared]) == session
            assert bool(scores[position, column] == -torch.inf) == (item == target or own)


def test_mask_padding_columns_behind_are_left_alone() -> None:
    candidates = drawn(**MIXED)
    columns = len(ids_of(candidates))
    scores = torch.zeros(len(TARGETS), columns + 3)
    mask_(scores, candidates, TARGETS, SESSIONS)
    assert (scores[:, columns:] == 0).all()
