"""Tests of export/graph/after.py: what the layer makes of scores, and that neither order nor company matters."""

import math
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.afterwards import BARRED, AfterwardsConfig, config_of, reads
from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.after import Afterwards
from export.graph.int8 import Int8TopK
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from export.graph.topk import TopK
from model.nets.serving import ServingModel
from tests.model.tiny import ITEMS, padded, tiny_encoder

V, N = ITEMS, 6
MIXED = AfterwardsConfig(last=BARRED, seen=0.5, again=2.0, fade=-0.5, share=0.3, decay=0.5, newest=3, backward=0.3)


def layer(config: AfterwardsConfig = MIXED, *, items: int = V, seed: int = 0) -> Afterwards:
    """Counts of random neighbours; rows of 0 to N of them."""
    random = np.random.default_rng(seed)
    neighbours, weights = np.zeros((items + 1, N), np.int32), np.zeros((items + 1, N), np.float32)
    for row in range(1, items + 1):
        found = random.choice(items, int(random.integers(0, N + 1)), replace=False) + 1
        neighbours[row, : len(found)] = found
        weights[row, : len(found)] = np.sort(random.random(len(found)))[::-1] / 4
    return Afterwards(config, items, neighbours, weights)


def expected(after: Afterwards, session: list[int], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The formula of the module's docstring, item by item."""
    config, c = after.config, np.zeros(V + 1)
    if config.counts:
        newest = session[::-1][: config.newest]
        shares = [config.decay**back for back in range(len(newest))]
        for click, share, most in zip(newest, shares, reads(config), strict=False):
            for item, weight in zip(after.neighbours[click][:most], after.weights[click][:most], strict=True):
                c[int(item)] += share * float(weight) / sum(shares)
    norm = math.log(np.exp(scores).sum())
    found = norm + np.log(np.exp(scores - norm) + config.weight * c[1:])
    return np.asarray(found + np.array([bias(config, session, item) for item in range(1, V + 1)]))


def bias(config: AfterwardsConfig, session: list[int], item: int) -> float:
    """b of the module's docstring."""
    if item not in session:
        return 0.0
    since = session[::-1].index(item)
    of_place = config.seen if since else config.last
    return of_place + config.again * math.log(session.count(item)) + config.fade * math.log(1 + since)


SESSIONS = [[3, 4, 3], [6], [1, 2, 2], [9, 8, 7, 8, 9], [40, 1]]


@pytest.mark.parametrize(
    "config",
    [
        MIXED,
        AfterwardsConfig(last=-1.0),
        AfterwardsConfig(seen=3.0, again=2.0),
        AfterwardsConfig(again=-1.0, fade=0.5, share=0.1, decay=0.5, newest=3),
        AfterwardsConfig(share=0.1),
        AfterwardsConfig(share=0.5, decay=0.8, newest=8, seen=-2.0),
    ],
    ids=["both", "bias", "often", "often and long ago", "counts of the newest", "counts of eight"],
)
def test_scores_afterwards_are_those_of_the_formula(config: AfterwardsConfig) -> None:
    after, ids = layer(config), padded([np.array(session, np.int32) for session in SESSIONS])
    scores = torch.randn(len(SESSIONS), V, generator=torch.Generator().manual_seed(1)) * 3
    changes = after(ids)
    norm = changes.norm(scores)
    found = changes.onto(scores, norm)
    every = torch.arange(1, V + 1).expand(len(SESSIONS), V)
    for row, session in enumerate(SESSIONS):
        truth = torch.tensor(expected(after, session, scores[row].double().numpy()), dtype=torch.float32)
        torch.testing.assert_close(found[row], truth, atol=2e-4, rtol=1e-5)
    torch.testing.assert_close(changes.at(every, scores, norm), found)
    torch.testing.assert_close(changes.of(torch.arange(1, V + 1), scores, norm), found)


def test_a_probability_too_small_for_float32_ranks_by_its_counts() -> None:
    after, ids = layer(AfterwardsConfig(share=0.3)), torch.tensor([[5]], dtype=torch.int32)
    neighbour = int(after.neighbours[5, 0])
    scores = torch.zeros(1, V)
    scores[0, neighbour - 1] = -300.0
    changes = after(ids)
    found = changes.onto(scores, changes.norm(scores))
    wanted = math.log(V - 1) + math.log(0.3 / 0.7 * float(after.weights[5, 0]))
    assert float(found[0, neighbour - 1]) == pytest.approx(wanted, abs=1e-4)
    assert torch.isfinite(found).all()


def test_the_last_item_is_the_newest_click_whatever_came_before() -> None:
    changes = layer(AfterwardsConfig(last=-4.0, seen=1.0))(torch.tensor([[7, 9, 7, 0]], dtype=torch.int32))
    found = changes.onto(torch.zeros(1, V), torch.zeros(1, 1))[0]
    assert (float(found[6]), float(found[8]), float(found[0])) == (-4.0, 1.0, 0.0)


@pytest.mark.parametrize("margin", [None, V], ids=["exact", "int8"])
@torch.no_grad()
def test_a_barred_item_comes_when_all_others_are_listed(margin: int | None) -> None:
    table, after = torch.nn.Parameter(torch.randn(V + 1, 8)), layer()
    head = TopK(table) if margin is None else Int8TopK([table], margin)
    changes = after(torch.tensor([[11, 12]], dtype=torch.int32))
    nothing = torch.zeros(1, 1, dtype=torch.int32)
    ids, scores, _ = head.after(torch.randn(1, 8), nothing, torch.tensor(V), changes)
    assert ids[0, -1] == 12
    assert sorted(ids[0].tolist()) == list(range(1, V + 1))
    assert torch.isfinite(scores).all()
    ids, scores, _ = head.after(torch.randn(1, 8), torch.tensor([[12]]), torch.tensor(V), changes)
    assert (int(ids[0, -1]), float(scores[0, -1])) == (PAD, -math.inf)


def fresh_inputs(sessions: list[list[int]], hidden: int, also: list[int]) -> tuple[Tensor, ...]:
    nothing = torch.zeros(len(sessions), 1, dtype=torch.int32)
    generator = torch.Generator().manual_seed(2)
    fresh = torch.randn(2, hidden, generator=generator)  # ids V + 1 and V + 2
    given = padded([np.array(session, np.int32) for session in sessions]), nothing, torch.tensor(V)
    return (*given, torch.tensor(also).int(), nothing, torch.tensor(0.0), fresh, torch.tensor([1]).int())


@pytest.mark.parametrize("margin", [None, V], ids=["exact", "int8"])
@torch.no_grad()
def test_candidates_score_as_in_the_list_and_fresh_items_have_the_bias_alone(margin: int | None) -> None:
    encoder = tiny_encoder()
    after = layer(AfterwardsConfig(last=-4.0, seen=0.5, again=2.0, share=0.3, decay=0.5, newest=3))
    sessions = [[3, 4, 5], [V + 2, 3, V + 2, 3], [3, V + 1]]
    given = fresh_inputs(sessions, 16, [3, 0, 17, V + 1])
    ids, scores, also, fresh, _ = ServingModel([encoder], margin=margin, fresh=True, after=after)(*given)
    plain = ServingModel([encoder], fresh=True)(*given)
    for row in range(3):
        listed = dict(zip(ids[row].tolist(), scores[row].tolist(), strict=True))
        assert also[row, 0] == pytest.approx(listed[3], abs=1e-3)
        assert also[row, 2] == pytest.approx(listed[17], abs=1e-3)
        assert also[row, 1] == -torch.inf
    changed = torch.tensor([[0.0, 0.0], [0.0, 0.5 + 2 * math.log(2)], [-4.0, 0.0]])
    torch.testing.assert_close(fresh - plain[3], changed, atol=1e-4, rtol=0)
    torch.testing.assert_close(also[:, 3], fresh[:, 0])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServingModel, Path]:
    """Two encoders in int8 with fresh items and the whole layer."""
    encoders = [tiny_encoder(), tiny_encoder(seed=1, kind="gru", layers=1, hidden=12, residual=True)]
    serving = ServingModel(encoders, margin=12, fresh=True, after=layer())
    path = tmp_path_factory.mktemp("after") / "model.onnx"
    export_onnx(serving, path, window=10)
    return serving, path


@pytest.mark.slow
def test_graph_with_the_layer_ranks_as_pytorch(graph: tuple[ServingModel, Path]) -> None:
    serving, path = graph
    assert check_parity(serving, path, window=10, items=V, k=V - 1).max_score_difference < 1e-2  # of scores near 1,000
    few = ServingModel(serving.encoders, margin=12, fresh=True, after=layer(AfterwardsConfig(last=-1.0)))
    with pytest.raises(Exception, match="differ"):
        check_parity(few, path, window=10, items=V, k=7)


@pytest.mark.slow
def test_list_is_the_same_alone_and_in_a_batch_and_begins_alike_at_any_length(graph: tuple[ServingModel, Path]) -> None:
    session = ort.InferenceSession(graph[1], providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    ids = random.integers(1, V + 1, (30, 6), dtype=np.int32)
    ids[np.arange(6) >= random.integers(1, 7, 30)[:, None]] = PAD

    def lists(rows: NDArray[np.int32], k: int) -> NDArray[np.int32]:
        nothing = np.zeros((len(rows), 1), np.int32)
        other = {"also": np.zeros(1, np.int32), "away": nothing, "push": np.array(0, np.float32)}
        fresh = {"fresh": np.zeros((1, 28), np.float32), "rows": np.zeros(1, np.int32)}
        found = session.run(["top_ids"], {"ids": rows, "exclude": nothing, "k": np.array(k), **other, **fresh})
        return np.asarray(found[0])

    together = lists(ids, 20)
    assert all((lists(ids[row : row + 1], 20)[0] == together[row]).all() for row in range(30))
    assert (lists(ids, 5) == together[:, :5]).all()


def test_what_means_nothing_is_refused() -> None:
    for wrong in ({"share": 1.0}, {"decay": 2.0}, {"newest": 0}, {"backward": -1.0}):
        with pytest.raises(ConfigError):
            AfterwardsConfig(**wrong)
    with pytest.raises(ConfigError, match="rows"):
        Afterwards(MIXED, V)
    with pytest.raises(ConfigError, match="padding"):
        Afterwards(MIXED, 1, np.zeros((2, 1), np.int32), np.ones((2, 1), np.float32))


@pytest.mark.parametrize(
    "record",
    [{"again": 1e30}, {"fade": -1e30}, {"last": 1001.0}, {"seen": math.nan}, {"seen": "6"}, {"newest": 2.0}],
    ids=str,
)
def test_values_of_a_manifest_that_scores_could_not_bear_are_refused(record: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config_of(record)
