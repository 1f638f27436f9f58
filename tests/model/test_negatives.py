"""Negatives come from where they should, and never stand against their own target."""

from __future__ import annotations

import torch

from model.config import NegativesConfig
from model.negatives import Negatives, draw, mask_

TARGETS = torch.tensor([5, 6, 7, 5, 9])
SESSIONS = torch.tensor([0, 0, 1, 1, 2])


def drawn(seed: int = 0, **options: int) -> Negatives:
    config = NegativesConfig(**{"uniform": 50, "in_batch": 20, "top": 10, **options})
    generator = torch.Generator().manual_seed(seed)
    return draw(TARGETS, SESSIONS, catalogue=12, config=config, generator=generator)


def test_draw_uniform_items_are_distinct_with_counts_of_all_draws() -> None:
    ids, counts, owners = drawn()
    uniform = ids[:-20]
    assert (uniform.diff() > 0).all()
    assert uniform.min() >= 1
    assert uniform.max() <= 12
    assert counts[:-20].sum() == 50
    assert (counts[-20:] == 1).all()
    assert owners.shape == (20,)


def test_draw_in_batch_items_are_targets_of_their_owner() -> None:
    ids, _, owners = drawn()
    pairs = set(zip(TARGETS.tolist(), SESSIONS.tolist(), strict=True))
    assert set(zip(ids[-20:].tolist(), owners.tolist(), strict=True)) <= pairs


def test_draw_same_seed_gives_the_same_negatives() -> None:
    assert all(torch.equal(a, b) for a, b in zip(drawn(3), drawn(3), strict=True))
    assert not torch.equal(drawn(3)[1], drawn(4)[1])


def test_draw_without_in_batch_gives_uniform_only() -> None:
    ids, counts, owners = drawn(in_batch=0)
    assert owners.numel() == 0
    assert ids.shape == counts.shape


def test_mask_own_target_and_own_session_are_out_and_nothing_else() -> None:
    config = NegativesConfig(uniform=50, in_batch=20, top=10)
    negatives = draw(TARGETS, SESSIONS, catalogue=12, config=config, generator=torch.Generator().manual_seed(0))
    scores = torch.zeros(len(TARGETS), negatives.ids.shape[0])
    mask_(scores, negatives, TARGETS, SESSIONS)
    uniform = negatives.ids.shape[0] - 20
    for position, (target, session) in enumerate(zip(TARGETS.tolist(), SESSIONS.tolist(), strict=True)):
        for column, item in enumerate(negatives.ids.tolist()):
            own = column >= uniform and int(negatives.owners[column - uniform]) == session
            assert bool(scores[position, column] == -torch.inf) == (item == target or own)
