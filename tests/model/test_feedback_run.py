"""From a log with skips to a bundle that reads them, and back through ranker, lists and evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from export.bundle.bundle import load_bundle
from export.errors import ConfigError
from export.events import KINDS, codes_of
from export.policy.config import ListsConfig, Placement, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from model.data.log import SessionLog
from model.data.readers import ReadOptions
from model.evaluate.judge import judge, of_baseline, of_ranker, paired_difference
from model.evaluate.report import evaluate_baseline, evaluate_bundle
from model.training_run import TrainRequest, train_to_registry
from tests.model.feedback import disliked_log
from tests.model.tiny import tiny_preset

pytestmark = pytest.mark.slow


def write(log: SessionLog, path: Path) -> Path:
    assert log.kinds is not None
    session = np.repeat(np.arange(log.sessions), log.lengths)
    names = [log.vocabulary.items[item - 1] for item in log.items.tolist()]
    kinds = [KINDS[code - 1] for code in log.kinds.tolist()]
    pq.write_table(pa.table({"session_id": session, "item_id": names, "timestamp": log.ts, "type": kinds}), path)
    return path


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    folder = tmp_path_factory.mktemp("feedback")
    data = write(disliked_log(160, orders=0.3), folder / "log.parquet")
    preset = tiny_preset(typed=True, preference=True, own=4, epochs=3, dropout=0.0, layers=1)
    request = TrainRequest(data=data, registry=folder / "registry", preset=replace(preset, name="typed"), plots=())
    summary = train_to_registry(request)
    assert summary is not None
    return Ranker(load_bundle(Registry(str(folder / "registry")).fetch(summary.version)), RankerConfig(threads=1))


SESSION = ["i1", "i8", "i21", "i17"]


def test_a_bundle_reads_kinds_and_preference(ranker: Ranker) -> None:
    assert ranker.typed
    assert {"kinds", "preference"} <= ranker.takes


def test_kinds_and_preference_change_scores_and_clicks_are_the_default(ranker: Ranker) -> None:
    ids = [[ranker.vocabulary.index(item) for item in SESSION]]

    def scores(kinds: str | None, by: Ranker = ranker) -> NDArray[np.float32]:
        return by.rank(ids, 40, kinds=None if kinds is None else [codes_of(kinds)])[1]

    assert np.array_equal(scores(None), scores("cccc"))
    assert not np.allclose(scores("ccsc"), scores("cccc"), atol=1e-4)
    orders, clicks = ranker.with_preference(1.0), ranker.with_preference(0.0)
    assert not np.allclose(scores("cccc", orders), scores("cccc", clicks), atol=1e-4)
    assert np.array_equal(scores("cccc", ranker.with_preference(0.5)), scores("cccc"))
    with pytest.raises(ConfigError, match="preference"):
        ranker.with_preference(1.5)


def test_rows_of_a_batch_are_told_their_own_kinds_however_long(ranker: Ranker) -> None:
    items = [SESSION * 4, ["i3"], [*SESSION, "unknown"], SESSION[:2]]
    kinds = [codes_of("ccsd" * 4), codes_of("o"), codes_of("cdccs"), codes_of("cs")]
    together = ranker.rank_items(items, 5, kinds=kinds)
    for row, one, told in zip(together, items, kinds, strict=True):
        (alone,) = ranker.rank_items([one], 5, kinds=[told])
        assert [item for item, _ in row.items] == [item for item, _ in alone.items]
    assert not any(row.fallback for row in together)


def test_who_wants_nothing_yet_gets_popular_items(ranker: Ranker) -> None:
    (found,) = ranker.rank_items([["i1", "i2"]], 5, kinds=[codes_of("sd")])
    assert found.fallback


@pytest.mark.parametrize("exclude", ["seen", "disliked"])
def test_lists_are_made_from_all_events_of_a_typed_model(ranker: Ranker, exclude: Literal["seen", "disliked"]) -> None:
    maker = ListMaker(ranker, ListsConfig((Placement(name="home", k=5, policy=Policy(exclude=(exclude,))),)))
    shoppers = [Shopper(tuple(SESSION), "ccsc"), Shopper(("i4",), "s"), Shopper(("i5", "i6"), "cd")]
    made = [row[0] for row in maker.make(shoppers)]
    assert [one.fallback for one in made] == [False, True, False]
    (plain,) = ranker.rank_items([SESSION], 20, kinds=[codes_of("ccsc")])
    barred = set(SESSION) if exclude == "seen" else set()
    assert [i for i, _ in made[0].items] == [i for i, _ in plain.items if i not in barred][:5]


def test_evaluation_reports_pairwise_accuracy_where_the_log_says_no(ranker: Ranker, tmp_path: Path) -> None:
    data = write(disliked_log(60, seed=9), tmp_path / "test.parquet")
    figures = evaluate_bundle(ranker.bundle.path, data, ReadOptions(), threads=1)
    assert 0.5 < figures["pairwise"] <= 1.0
    assert figures["pairs"] > 20
    count = evaluate_baseline("popularity", data, data, ReadOptions())
    assert figures["predictions"] == count["predictions"]
    assert figures["left_out"] == 0


def test_a_typed_model_is_judged_on_the_clicks_that_baselines_are(ranker: Ranker) -> None:
    log = disliked_log(60, seed=9)
    own, other = judge(of_ranker(ranker), log), judge(of_baseline("next-item", log), log)
    assert own.metrics["predictions"] == other.metrics["predictions"] == len(log.predicted)
    assert len(own.ranks) == len(other.ranks)
    difference, (low, high) = paired_difference(own, other, log, confidence=0.95)
    assert low <= difference <= high
