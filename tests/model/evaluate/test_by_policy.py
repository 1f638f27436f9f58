"""Lists as shoppers get them, measured: by one list of a policy's file."""

from pathlib import Path

import numpy as np
import pytest

from bench.rig.toy import toy_bundle
from export.errors import ConfigError
from export.ranking.ranker import Ranker
from model.data.readers import ReadOptions
from model.evaluate.by_policy import PolicyScorer, one_list
from model.evaluate.report import evaluate_bundle


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    return Ranker(toy_bundle(tmp_path_factory.mktemp("toy")))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_scores_are_the_rankers_without_what_the_policy_leaves_out(ranker: Ranker, tmp_path: Path) -> None:
    sessions = [np.array([3, 7], np.int32), np.array([9], np.int32)]
    best = ranker.rank(sessions, 6)[0]
    named = ranker.vocabulary.item(int(best[0, 0]))
    config = one_list(write(tmp_path / "p.toml", f'exclude = ["seen"]\nblocked = ["{named}"]\n'), None, 5)
    ids, scores = PolicyScorer(ranker, config).rank(sessions, 5)
    barred = [{3, 7, int(best[0, 0])}, {9, int(best[0, 0])}]
    expected = ranker.rank(sessions, 5, [sorted(one) for one in barred])
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_allclose(scores, expected[1], rtol=1e-5)


def test_short_lists_end_in_padding(ranker: Ranker, tmp_path: Path) -> None:
    blocked = ", ".join(f'"item-{number}"' for number in range(1, 39))
    config = one_list(write(tmp_path / "p.toml", f"blocked = [{blocked}]"), None, 5)
    scorer = PolicyScorer(ranker, config)
    ids, _ = scorer.rank([np.array([3], np.int32)], 5)
    assert sorted(ids[0].tolist()) == [0, 0, 0, 39, 40]
    assert scorer.counts.short == 1


def test_one_of_several_placements_must_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "[placements.home]\nk = 3\n[placements.cart]\n")
    assert one_list(path, "home", 20).placements[0].k == 20
    with pytest.raises(ConfigError, match="home, cart"):
        one_list(path, None, 20)
    with pytest.raises(ConfigError, match="no placement 'list'"):
        one_list(path, "list", 20)


def test_a_pin_beyond_the_cut_off_is_not_moved_up(ranker: Ranker, tmp_path: Path) -> None:
    config = one_list(write(tmp_path / "p.toml", 'k = 9\npins = [{item = "item-3", place = 8}]'), None, 2)
    session = np.array([7], np.int32)
    ids, _ = PolicyScorer(ranker, config).rank([session], 2)
    best = [number for number in ranker.rank([session], 3)[0][0].tolist() if number != 3]
    assert ids[0].tolist() == best[:2]


def test_a_policy_that_reads_items_without_them_is_said(ranker: Ranker, tmp_path: Path) -> None:
    policy = write(tmp_path / "p.toml", 'at_most = {brand = 1}\nblocked = ["item-3", "gone"]')
    data, said = tmp_path / "log.csv", list[str]()
    data.write_text("session_id,item_id,timestamp\ns,item-1,1\ns,item-2,2\n")
    figures = evaluate_bundle(ranker.bundle.path, data, ReadOptions(), (5,), 1, policy=policy, say=said.append)
    assert any("name their files by --items" in line for line in said)
    assert any("does not know 1 of the 2 blocked items, such as 'gone'" in line for line in said)
    assert figures["unfiltered"] == 0
