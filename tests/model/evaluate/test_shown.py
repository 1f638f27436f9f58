import numpy as np

from model.data.log import SessionLog
from model.evaluate import shown
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate
from model.evaluate.shown import SHOWN, Shown, allowance, counting_seconds, shown_baselines
from tests.model.tiny import tiny_log


def test_shown_baselines_are_all_judged_on_the_same_clicks() -> None:
    log, valid = tiny_log(100), tiny_log(30, seed=1)
    told: list[tuple[str, str]] = []
    found = shown_baselines(log, valid, 10, on_baseline=lambda name, figures, why: told.append((name, why)))
    assert tuple(found.figures) == SHOWN
    assert len({one["predictions"] for one in found.figures.values()}) == 1
    own = evaluate(make_baseline("vmis-knn", log), valid, window=10).metrics
    assert found.figures["vmis-knn"].items() >= own.items()
    assert (found.left_out, told) == ({}, [(name, "") for name in SHOWN])


def test_shown_baseline_dear_to_count_is_left_out_and_it_is_said() -> None:
    log, valid = tiny_log(100), tiny_log(30, seed=1)
    dear = counting_seconds("co-occurrence", log)
    assert dear == max(counting_seconds(name, log) for name in SHOWN)
    made: list[str] = []

    def make(name: str, train: SessionLog) -> object:
        made.append(name)
        return make_baseline(name, train)

    names = ("popularity", "co-occurrence")
    cheap = shown_baselines(log, valid, 10, names=names, most_s=dear * 0.99, make=make)
    assert "co-occurrence" not in made
    assert cheap.left_out["co-occurrence"].startswith("counting would take about")


def test_shown_baseline_dear_to_rank_is_left_out(monkeypatch: object) -> None:
    log, valid = tiny_log(100), tiny_log(400, seed=1)
    found = shown_baselines(log, valid, 10, names=("vmis-knn",), most_s=2 * counting_seconds("vmis-knn", log))
    assert found == Shown(figures={}, left_out=found.left_out)
    assert found.left_out["vmis-knn"].startswith("counting and ranking would take about")


def test_counting_seconds_grow_with_the_pairs_that_are_counted() -> None:
    short, long = tiny_log(100), tiny_log(100)
    joined = SessionLog(
        items=long.items, offsets=np.array([0, long.clicks], np.int64), ts=long.ts, vocabulary=long.vocabulary
    )
    for name in ("items-after", "co-occurrence"):
        assert counting_seconds(name, joined) > counting_seconds(name, short)
    assert counting_seconds("items-after", joined) < 10.1 * counting_seconds("next-item", joined)


def test_allowance_is_a_share_of_a_long_training() -> None:
    assert allowance(None) == allowance(1.0) == shown.LEAST_S
    assert allowance(10_000.0) == 1_000.0
