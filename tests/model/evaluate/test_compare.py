"""`nextclick evaluate --compare`: systems on the same predictions, with intervals, differences and a table."""

from pathlib import Path

import pytest
from rich.console import Console

from bench.rig.toy import toy_bundle, toy_graph
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.errors import ConfigError
from model.data.readers import ReadOptions
from model.errors import DataError
from model.evaluate.compare import CompareConfig, Comparison, SystemFigures, compare_systems
from model.evaluate.compare_table import comparison_table
from model.evaluate.report import evaluate_baseline, evaluate_bundle
from tests.model.evaluate.test_report import write_log

READ = ReadOptions()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_log(tmp_path / "train.csv", "ab", "ab", "ac", "bc", "cab")


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return write_log(tmp_path / "test.csv", "ab", "ac", "abc", "bcab")


def letters_bundle(directory: Path, names: str) -> Path:
    """A bundle with random weights whose items are single letters."""
    toy = toy_bundle(directory.parent / f"{directory.name}-toy", items=len(names), k_max=len(names))
    write_bundle(
        directory,
        onnx_file=toy_graph(len(names)),
        vocabulary=Vocabulary(names),
        popularity=toy.popularity,
        manifest=toy.manifest,
    )
    return directory


@pytest.mark.slow
def test_figures_equal_those_of_each_system_by_itself(train: Path, held_out: Path, tmp_path: Path) -> None:
    bundle = letters_bundle(tmp_path / "bundle", "cab")  # the same items in another order
    found = compare_systems(["next-item", str(bundle), "vmis-knn"], held_out, READ, train=train, cutoffs=(1, 2))
    alone = [
        evaluate_baseline("next-item", train, held_out, READ, (1, 2)),
        evaluate_bundle(bundle, held_out, READ, (1, 2)),
        evaluate_baseline("vmis-knn", train, held_out, READ, (1, 2)),
    ]
    assert [system.name for system in found.systems] == ["next-item", str(bundle), "vmis-knn"]
    for system, figures in zip(found.systems, alone, strict=True):
        assert system.metrics == {name: value for name, value in figures.items() if "@" in name}
    assert (found.sessions, found.predictions) == (4, 7)


def test_intervals_hold_the_figures_and_differences_are_paired(train: Path, held_out: Path) -> None:
    found = compare_systems(["popularity", "next-item", "next-item"], held_out, READ, train=train, cutoffs=(1,))
    first, second, third = found.systems
    for system in found.systems:
        assert set(system.ci) == {"recall@1", "mrr@1", "ndcg@1"}
        assert all(low <= system.metrics[name] <= high for name, (low, high) in system.ci.items())
    assert first.vs_first == {}
    assert set(second.vs_first) == {"recall@1", "mrr@1"}
    difference, low, high = second.vs_first["recall@1"]
    assert difference == pytest.approx(second.metrics["recall@1"] - first.metrics["recall@1"])
    assert low <= difference <= high
    assert third.vs_first == second.vs_first


def test_system_beside_itself_differs_by_nothing(train: Path, held_out: Path) -> None:
    found = compare_systems(["next-item", "next-item"], held_out, READ, train=train)
    assert set(found.systems[1].vs_first.values()) == {(0.0, 0.0, 0.0)}


@pytest.mark.slow
def test_clicks_that_one_system_does_not_know_are_left_out_for_all(train: Path, tmp_path: Path) -> None:
    bundle = letters_bundle(tmp_path / "bundle", "abx")  # knows no c
    held_out = write_log(tmp_path / "test.csv", "acb", "ca", "xb", "ab")
    said: list[str] = []
    found = compare_systems(["next-item", str(bundle)], held_out, READ, train=train, cutoffs=(1,), say=said.append)
    assert (found.sessions, found.predictions) == (2, 2)  # a, b twice: c and x are gone, and what they leave too short
    (left_out,) = (line for line in said if line.startswith("left out"))
    assert "3 of 9 clicks" in left_out
    assert "2 more" in left_out
    assert found.systems[0].metrics["recall@1"] == 1.0


@pytest.mark.slow
def test_no_click_that_all_know_is_refused(train: Path, held_out: Path, tmp_path: Path) -> None:
    bundle = letters_bundle(tmp_path / "bundle", "xyz")
    with pytest.raises(DataError):
        compare_systems(["next-item", str(bundle)], held_out, READ, train=train, cutoffs=(1,))


def test_same_seed_gives_the_same_intervals(train: Path, held_out: Path) -> None:
    runs = [compare_systems(["popularity", "next-item"], held_out, READ, train=train) for _ in range(2)]
    assert runs[0].systems[1].ci == runs[1].systems[1].ci
    assert runs[0].systems[1].vs_first == runs[1].systems[1].vs_first


@pytest.mark.parametrize(
    ("names", "with_train", "message"),
    [
        ([], True, "two systems"),
        (["next-item"], True, "two systems"),
        (["next-item", "oracle"], True, "'oracle'.*popularity.*vmis-knn"),
        (["next-item", "popularity"], False, "next-item.*--train"),
    ],
)
def test_wrong_names_are_refused(train: Path, held_out: Path, names: list[str], with_train: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_systems(names, held_out, READ, train=train if with_train else None)


@pytest.mark.slow
def test_cutoff_above_what_a_bundle_returns_is_refused_before_anything_is_ranked(train: Path, tmp_path: Path) -> None:
    toy_bundle(tmp_path / "bundle", items=40, k_max=10)
    with pytest.raises(ConfigError, match="1 to 10"):
        compare_systems(["next-item", str(tmp_path / "bundle")], tmp_path / "none.csv", READ, train=train)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"confidence": 1.0}, {"confidence": 0.0}])
def test_values_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="resamples"):
        CompareConfig(**wrong)  # type: ignore[arg-type]


def figures(name: str, recall: float, difference: float | None = None) -> SystemFigures:
    return SystemFigures(
        name=name,
        metrics={"recall@20": recall, "coverage@20": 1.0 - recall},
        ci={"recall@20": (recall - 0.01, recall + 0.01)},
        vs_first={} if difference is None else {"recall@20": (difference, difference - 0.005, difference + 0.005)},
        sessions_per_s=1234.5,
    )


def test_table_has_a_row_a_system_with_the_best_of_each_column_bold() -> None:
    comparison = Comparison(
        systems=[figures("one[/]", 0.4), figures("two", 0.5, 0.1)], sessions=3, predictions=1234, confidence=0.95
    )
    console = Console(width=200, record=True, color_system="standard", force_terminal=True)
    with console.capture() as capture:
        console.print(comparison_table(comparison))
    shown = capture.get()
    for text in ("recall@20 to first", "one[/]", ".3900-.4100", "+.1000", "+.0950..+.1050", "1,234 predictions of 3"):
        assert text in shown
    assert "\x1b[1m.5000" in shown
    assert "\x1b[1m.4000" not in shown
    assert "\x1b[1m.6000" in shown  # coverage, of the other system
