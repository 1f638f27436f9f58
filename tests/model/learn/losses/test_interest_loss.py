"""The loss of several interests: by hand as by autograd, and a toy whose shoppers want two things at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from export.bundle.vocabulary import Vocabulary
from model.config import Preset
from model.data.log import SessionLog
from model.learn.batches.negatives import Candidates, Sampler
from model.learn.config import LossConfig, NegativesConfig
from model.learn.losses import matmul
from model.learn.losses.interest_loss import best_of, interest_loss, repel, routing
from model.learn.losses.matmul import Products
from model.learn.losses.objectives import row_loss
from model.learn.train import train
from model.nets.interests import Pooled
from model.nets.plain import plain
from tests.model.items import known, tiny_items
from tests.model.slow import slow_objective
from tests.model.tiny import padded, tiny_log, tiny_preset

T, K, H, V = 17, 3, 5, 24
DRAWS = {
    "everything": NegativesConfig(everything=True),
    "popular": NegativesConfig(popular=9),
    "uniform and in-batch": NegativesConfig(uniform=30, in_batch=8),
}


def example(negatives: NegativesConfig, config: LossConfig) -> tuple[Tensor, Tensor, Tensor, Tensor, Candidates]:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(T, K, H, generator=generator, requires_grad=True)
    table = torch.randn(V + 1, H, generator=generator, requires_grad=True)
    targets = torch.randint(1, V + 1, (T,), generator=generator)
    sessions = torch.randint(5, (T,), generator=generator)
    candidates = Sampler(negatives, np.arange(1, V + 1), loss=config).draw(targets, sessions, generator)
    return vectors, table, targets, sessions, candidates


def slowly(
    vectors: Tensor, table: Tensor, targets: Tensor, sessions: Tensor, candidates: Candidates, config: LossConfig
) -> Tensor:
    """Return the loss as it is described, one position after the other, for autograd."""
    objective = slow_objective(config, negatives=10, catalogue=V)
    ids = torch.arange(1, V + 1) if candidates.ids is None else candidates.ids
    bias = torch.zeros(len(ids)) if candidates.bias is None else candidates.bias
    owners = torch.cat([torch.full((len(ids) - candidates.in_batch,), -1), candidates.owners])
    losses = []
    for own, target, session in zip(vectors, targets, sessions, strict=True):
        counts = (ids != target) & (owners != session)
        if config.choice == "target":
            own = own[(own @ table[target]).argmax()][None]
        others = (own @ table[ids[counts]].T).amax(dim=0) + bias[counts]
        losses.append(objective((own @ table[target]).amax(), others))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("choice", ["best", "target"])
def test_interest_loss_equals_autograd(draws: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "CHUNK_LEAST", 6)  # several chunks
    monkeypatch.setattr(matmul, "CHUNK_SCORES", 1)
    config = LossConfig(choice=choice, logq=draws == "popular")  # type: ignore[arg-type]
    vectors, table, targets, sessions, candidates = args = example(DRAWS[draws], config)
    loss = interest_loss(
        Pooled(vectors, torch.ones(T, K)),
        *args[1:],
        row_loss(config, negatives=10, catalogue=V),
        preset=dataclasses.replace(several(), loss=config),
        products=Products(),
    )
    expected = slowly(vectors, table, targets, sessions, candidates, config)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-4)
    wanted = torch.autograd.grad(expected, (vectors, table))
    grads = torch.autograd.grad(loss * 3.0, (vectors, table))
    for found, want in zip(grads, wanted, strict=True):
        torch.testing.assert_close(found, 3.0 * want, atol=2e-5, rtol=1e-4)


def test_best_of_is_the_largest_of_the_interests() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]])
    scores, which = best_of(vectors, torch.tensor([[1.0, 1.0], [3.0, 1.0]]))
    assert scores.tolist() == [2.0, 3.0]
    assert which.tolist() == [1, 0]


def test_repel_is_the_mean_square_of_positive_cosines() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])
    half = 0.5  # cos^2 of 45 degrees
    torch.testing.assert_close(repel(vectors), torch.tensor(((1.0) / 3 + (0.0 + half + half) / 3) / 2))
    assert repel(vectors[:, :1]) == 0.0


def test_repel_moves_interests_apart_and_leaves_opposite_ones() -> None:
    vectors = torch.tensor([[[1.0, 0.2], [1.0, -0.2]]], requires_grad=True)
    (grad,) = torch.autograd.grad(repel(vectors), vectors)
    moved = (vectors - 0.1 * grad).detach()
    assert repel(moved) < repel(vectors.detach())
    opposite = torch.tensor([[[1.0, 0.0], [-1.0, 0.1]]], requires_grad=True)
    assert not torch.autograd.grad(repel(opposite), opposite)[0].any()


def test_routing_is_remis_penalty_on_its_own_weights() -> None:
    window, hidden = 6, 4
    weights = torch.softmax(torch.randn(2, K, window, generator=torch.Generator().manual_seed(0)), dim=2)
    centred = weights - weights.mean(dim=2, keepdim=True)
    theirs = torch.diagonal(centred @ centred.transpose(1, 2) / hidden, dim1=1, dim2=2).norm(dim=1).square()
    ours = routing(weights.square().sum(dim=2), window=window, hidden=hidden)
    torch.testing.assert_close(ours, theirs.mean() * 128)


def two_sided_log(sessions: int, seed: int) -> SessionLog:
    """Return sessions that want two of six groups of eight items, in turn by a coin."""
    random = np.random.default_rng(seed)
    clicks = []
    for _ in range(sessions):
        pair = random.choice(6, 2, replace=False)
        clicks += [int(8 * pair[random.integers(2)] + random.integers(8) + 1) for _ in range(8)]
    return SessionLog(
        items=np.array(clicks, np.int32),
        offsets=np.arange(0, len(clicks) + 1, 8),
        ts=np.arange(len(clicks), dtype=np.int64),
        vocabulary=Vocabulary(f"i{n}" for n in range(48)),
    )


def several(**options: object) -> Preset:
    preset = dataclasses.replace(tiny_preset(), negatives=NegativesConfig(everything=True))
    sizes = {"layers": 1, "interests": 2, "interest_inner": 16, "dropout": 0.0, "epochs": 12, "lr": 0.01, "repel": 0.1}
    return preset.override(**{**sizes, **options})


@pytest.mark.slow
def test_mtmi_learns_two_interests_of_shoppers_who_have_two() -> None:
    encoder = train(two_sided_log(250, 0), two_sided_log(20, 1), several()).encoders[0]
    test = two_sided_log(60, 2)
    with torch.inference_mode():
        vectors = encoder.newest(padded([test.session(s) for s in range(60)]))  # (B, 2, H)
        scores = vectors @ encoder.table[1:].T  # (B, 2, V)
    groups = scores.view(60, 2, 6, 8).mean(dim=3).argmax(dim=2)  # (B, 2) what each interest wants
    wanted = [set(((test.session(s) - 1) // 8).tolist()) for s in range(60)]
    both = [set(found) == want for found, want in zip(groups.tolist(), wanted, strict=True) if len(want) == 2]
    assert np.mean(both) > 0.6  # by chance: one in thirty


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["best", "target"])
def test_training_with_interests_and_a_tower_learns(choice: str) -> None:
    log, valid = tiny_log(200), tiny_log(30, seed=1)
    preset = several().override(choice=choice, epochs=5)
    trained = train(log, valid, preset, items=known(tiny_items(40)).features(log.vocabulary))
    assert trained.valid["mrr@20"] > 0.2  # by chance: .09
    served = plain(trained.encoders[0])
    assert served.interests is not None
    ids = padded([log.session(0)[:4]])
    torch.testing.assert_close(served.newest(ids), trained.encoders[0].newest(ids))
