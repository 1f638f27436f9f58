"""Which clicks count as beside a trainer, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer

import nextclick
from bench.costs.polite import Took, around_swaps, parse, summary, trainer_options
from bench.measure.lists import Answer, Received, Source
from bench.measure.load import Sent
from bench.measure.loop import Loop
from bench.measure.watch import Moment


def a_list(model: str, at: float) -> Received:
    return Received(Answer("a", Source(0, 0), model, 0), at)


def a_loop(due: np.ndarray, took: np.ndarray, *lists: Received) -> Loop:
    sent: Sent = [("a", 0, number, float(at)) for number, at in enumerate(due)]
    return Loop(sent=sent, took=took, lists=lists, load_cpu=0.1, subscriber_cpu=0.1)


def test_clicks_around_the_first_list_of_a_newer_version_are_around_a_swap() -> None:
    due = np.arange(20.0)
    # Lists of two partitions overlap for a moment; going back to an older version is none
    loop = a_loop(due, due, a_list("9", 0.0), a_list("10", 10.0), a_list("9", 10.1), a_list("10", 10.2))
    assert np.flatnonzero(around_swaps(due, loop)).tolist() == [7, 8, 9, 10, 11]
    assert not around_swaps(due, a_loop(due, due, a_list("9", 0.0), a_list("9", 10.0))).any()


def test_clicks_outside_a_cycle_or_around_a_swap_are_not_beside_one() -> None:
    due = np.arange(10.0)
    took = Took()
    moments = [Moment(0.0, ""), Moment(2.0, "train"), Moment(4.0, "gate"), Moment(9.0, "")]
    took.add(a_loop(due, due, a_list("1", 0.0), a_list("2", 8.0)), moments)
    assert took.beside[0].tolist() == [2.0, 3.0, 4.0]
    assert took.swaps[0].tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert {name: of[0].tolist() for name, of in took.steps.items()} == {"train": [2.0, 3.0], "gate": [4.0]}


def test_ratios_are_of_the_clicks_of_all_rounds() -> None:
    took = Took(
        alone=[np.full(1_000, 0.010), np.full(1_000, 0.020)],
        beside=[np.full(2_000, 0.030), np.array([])],
        swaps=[np.full(10, 1.0)],
        steps={"train": [np.full(2_000, 0.030)], "gate": [np.full(3, 9.0)]},
    )
    found = summary(took)
    assert (found["ratio_p50"], found["ratio_p99"]) == (2.0, 1.5)
    assert found["alone_spread"] == 2.0, "a machine with other work"
    assert found["rounds"] == {"alone_p99_ms": [10.0, 20.0], "beside_p99_ms": [30.0]}
    assert list(found["steps"]) == ["train"], "three clicks have no p99"
    assert found["around_swaps"] is None


def test_no_cycle_beside_the_worker_is_an_error_and_no_ratio() -> None:
    with pytest.raises(RuntimeError, match="no cycle ran"):
        summary(Took(alone=[np.ones(5)], beside=[np.array([])], swaps=[np.array([])]))


def test_trainers_get_options_that_exist_and_their_own_defaults_unless_asked() -> None:
    command = typer.main.get_command(nextclick.app).commands["trainer"]  # type: ignore[attr-defined]
    known = {name for parameter in command.params for name in parameter.opts}
    words = trainer_options(parse([]), "host:1", Path("r"))
    assert not {"--threads", "--nice"} & set(words)
    asked = trainer_options(parse(["--threads", "2", "--nice", "0"]), "host:1", Path("r"))
    assert asked[-4:] == ["--threads", "2", "--nice", "0"]
    assert {word for word in asked if word.startswith("--")} <= known
