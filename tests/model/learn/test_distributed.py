"""Two processes take the steps that one would take, and publish one model."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from demo.simulated.simulator import simulate_log
from demo.simulated.stock import ShopConfig
from export.registry.registry import Registry
from model.config import Preset
from model.errors import TrainingError
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate
from model.learn.batch_loss import batch_loss
from model.learn.committee import train_preset
from model.learn.distributed import ALONE, Team, join_team, leave_team
from model.learn.rows import Seen
from model.learn.train import Trainer
from model.nets.dropout import PooledDropout
from model.presets import preset
from model.training_run import TrainRequest, read_and_split
from tests.model.tiny import tiny_log, tiny_preset

ROOT = Path(__file__).parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# In float32 on every processor: bfloat16, where there is some, rounds the two shares differently
WHOLE: dict[str, Any] = {
    "uniform": 0,
    "in_batch": 0,
    "top": 0,
    "everything": True,
    "dropout": 0.0,
    "precision": "float32",
}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("sessions", [5, 6, 16, 17])
def test_share_of_all_processes_covers_a_batch_exactly_once(size: int, sessions: int) -> None:
    shares = [Team(rank, size).share(torch.arange(sessions)) for rank in range(size)]
    assert sorted(torch.cat(shares).tolist()) == list(range(sessions))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_share_of_a_batch_smaller_than_the_team_is_all_of_it_for_everyone() -> None:
    assert [Team(rank, 3).share(torch.arange(2)).tolist() for rank in range(3)] == [[0, 1]] * 3


def test_team_of_one_changes_nothing() -> None:
    grads, state = [torch.ones(3)], [{"recall@20": 0.5}]
    assert ALONE.average_(grads, positions=7, loss=0.25, stop=True) == (0.25, True)
    ALONE.same_on_all(list[object](state))
    ALONE.check_alike("their mood", object())
    ALONE.wait()
    assert grads[0].tolist() == [1.0] * 3
    assert join_team() == ALONE


def test_join_team_that_cannot_meet_is_a_training_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingError, match="2 processes"):
        join_team()


def trainer_of(team: Team, **options: Any) -> Trainer:
    """A trainer on 33 sessions: the last batch of 16 has one session, fewer than there are processes."""
    return Trainer(tiny_log(33), tiny_log(20, seed=1), tiny_preset(**options), run="r", team=team)


def one_of_two(rank: int, port: int, results: Path) -> None:
    """What each of two processes does: one step with the whole catalogue, then a training with the preset as it is."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    team = join_team()
    step = trainer_of(team, **WHOLE)
    loss, stop = step.update(torch.arange(17), stop=rank == 1)
    trained = trainer_of(team).run()
    team.check_alike("their size", team.size)
    try:
        team.check_alike("their rank", rank)
        refused = ""
    except TrainingError as error:
        refused = str(error)
    grads = [weight.grad for weight in step.encoder.parameters()]
    found = {"loss": loss, "stop": stop, "grads": grads, "leads": team.leads, "history": trained.history}
    found |= {"refused": refused}
    torch.save(found | {"weights": trained.encoders[0].state_dict()}, results / f"{rank}.pt")
    team.wait()
    leave_team()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the two processes found."""
    results, context = tmp_path_factory.mktemp("two"), multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [context.Process(target=one_of_two, args=(rank, port, results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(results / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_gradient_of_their_shares_is_that_of_the_whole_batch(of_two: list[dict[str, Any]]) -> None:
    alone = trainer_of(ALONE, **WHOLE)
    loss, _ = alone.update(torch.arange(17))
    for found in of_two:
        assert found["loss"] == pytest.approx(loss, rel=1e-5)
        for grad, weight in zip(found["grads"], alone.encoder.parameters(), strict=True):
            assert weight.grad is not None
            torch.testing.assert_close(grad, weight.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_that_begin_differently_are_refused_in_both(of_two: list[dict[str, Any]]) -> None:
    assert [found["refused"] for found in of_two] == ["the 2 processes differ in their rank: 0, 1"] * 2


@pytest.mark.slow
def test_two_processes_stop_together_and_one_of_them_leads(of_two: list[dict[str, Any]]) -> None:
    assert [found["stop"] for found in of_two] == [True, True]
    assert [found["leads"] for found in of_two] == [True, False]


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_figures(of_two: list[dict[str, Any]]) -> None:
    first, second = of_two
    assert first["history"] == second["history"]
    assert first["history"][-1]["loss"] == first["history"][-1]["loss"]
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())


@pytest.mark.slow
def test_processes_drop_out_and_draw_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(PooledDropout, "begin_step", lambda self, seed: seeds.append(seed))
    drawn = []
    for rank in (0, 1):
        trainer = trainer_of(ALONE, positions="none")
        trainer.team = trainer.draws.team = Team(rank, 2)
        comparison = trainer.draws.comparison(0.0)
        batch, candidates = trainer.draws.draw(torch.arange(4), step=0, sampler=comparison.sampler)
        seen = Seen(batch, candidates, trainer.encoder.table, None)
        batch_loss(trainer.encoder, seen, trainer.preset, trainer.products, comparison.row_loss, step=0, rank=rank)
        drawn.append(candidates)
    assert len(set(seeds)) == 4
    assert not torch.equal(drawn[0].ids, drawn[1].ids)  # type: ignore[union-attr, arg-type]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_publish_one_model_as_good_as_that_of_one(tmp_path: Path) -> None:
    data = tmp_path / "clicks.parquet"
    simulate_log(data, ShopConfig(items=150), 2_500)
    options: dict[str, Any] = {"epochs": 2, "batch": 64, "lr": 0.002, "threads": 1}
    asked = {"data": data, "registry": tmp_path / "two", "preset": "sasrec-ssm", **options}
    words = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    command = [*TORCHRUN, "-m", "nextclick", "train", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    assert Registry(str(tmp_path / "two")).versions() == [json.loads(line)["version"]] == ["1"]
    small: Preset = preset("sasrec-ssm").override(reference=0, **options)
    log, valid = read_and_split(TrainRequest(data=data, registry=tmp_path / "one", preset=small))
    one, popular = train_preset(log, valid, small).valid, evaluate(make_baseline("popularity", log), valid).to_json()
    assert json.loads(line)["valid"]["recall@20"] == pytest.approx(one["recall@20"], abs=0.04)
    assert one["recall@20"] > popular["recall@20"] + 0.1
