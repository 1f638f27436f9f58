"""`nextclick evaluate`: the protocol's figures for a baseline, and for a bundle through the ranker."""

from pathlib import Path

import pytest

from export.errors import ConfigError
from model.data.readers import ReadOptions
from model.errors import DataError
from model.evaluate.report import evaluate_baseline


def write_log(path: Path, *sessions: str) -> Path:
    """One letter an item, one string a session, one second between clicks."""
    lines = ["session_id,item_id,timestamp"]
    for number, items in enumerate(sessions):
        lines += [f"{number},{item},{1_600_000_000_000 + 1000 * place}" for place, item in enumerate(items)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_evaluate_baseline_counted_by_hand_gives_its_figures(tmp_path: Path) -> None:
    train = write_log(tmp_path / "train.csv", "ab", "ab", "ac", "bc")
    test = write_log(tmp_path / "test.csv", "ab", "ac")
    figures = evaluate_baseline("next-item", train, test, ReadOptions(), cutoffs=(1, 2))
    assert figures["predictions"] == 2
    assert figures["recall@1"] == pytest.approx(0.5)  # after a, b comes first
    assert figures["recall@2"] == pytest.approx(1.0)
    assert figures["mrr@2"] == pytest.approx(0.75)


def test_evaluate_says_how_many_clicks_were_left_out(tmp_path: Path) -> None:
    train, test = write_log(tmp_path / "train.csv", "ab", "bc"), write_log(tmp_path / "test.csv", "abx", "ax", "bc")
    figures = evaluate_baseline("next-item", train, test, ReadOptions())
    assert (figures["clicks"], figures["left_out"], figures["predictions"]) == (7, 3, 2)


def test_evaluate_baseline_unknown_items_only_is_refused(tmp_path: Path) -> None:
    train, test = write_log(tmp_path / "train.csv", "ab"), write_log(tmp_path / "test.csv", "xy")
    with pytest.raises(DataError):
        evaluate_baseline("popularity", train, test, ReadOptions())


def test_evaluate_baseline_unknown_name_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "train.csv", "ab")
    with pytest.raises(ConfigError, match="oracle"):
        evaluate_baseline("oracle", log, log, ReadOptions())
