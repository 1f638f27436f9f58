"""Figures broken down, beside the same by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.readers import ReadOptions, build_log, read_log
from model.data.readers.options import Columns
from model.errors import DataError
from model.evaluate.groups import Groups, grouped, groups_of_column, rows, standing_groups
from model.evaluate.report import evaluate_baseline

HEADER = "session_id,item_id,timestamp,country,price"
LINES = (
    ("s1", "a", 1, "de", 1.0),
    ("s1", "a", 2, "de", 2.0),
    ("s2", "b", 3, "", 3.0),
    ("s2", "a", 4, "", 4.0),
    ("s2", "c", 5, "at", 5.0),
    ("s3", "x", 6, "at", 6.0),
)


def csv(folder: Path, lines: tuple[tuple[object, ...], ...] = LINES) -> Path:
    path = folder / "log.csv"
    path.write_text("\n".join([HEADER, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def parquet(folder: Path) -> Path:
    path = folder / "log.parquet"
    columns = dict(zip(HEADER.split(","), map(list, zip(*LINES, strict=True)), strict=True))
    columns["country"] = [one or None for one in columns["country"]]
    pq.write_table(pa.table(columns), path)
    return path


def jsonl(folder: Path) -> Path:
    path = folder / "log.jsonl"
    row = '{{"session_id":"{}","item_id":"{}","ts":{},"country":{},"price":{}}}'
    path.write_text(
        "".join(row.format(*line[:3], f'"{line[3]}"' if line[3] else "null", line[4]) + "\n" for line in LINES)
    )
    return path


def by(name: str) -> ReadOptions:
    return ReadOptions(columns=Columns(extra=name))


@pytest.mark.parametrize("write", [csv, parquet, jsonl])
def test_groups_of_a_column_are_by_the_line_of_the_click_looked_for(tmp_path: Path, write: object) -> None:
    raw = read_log(write(tmp_path), by("country"))  # type: ignore[operator]
    log = build_log(raw)  # s1 and s2; x is alone in its session
    found = groups_of_column(raw, log.vocabulary)
    assert found is not None
    assert len(log.predicted) == 3
    assert [found.labels[of] for of in found.of] == ["de", "none", "at"]
    assert groups_of_column(read_log(write(tmp_path)), log.vocabulary) is None  # type: ignore[operator]


def test_groups_of_many_numbers_are_bands_of_equal_counts(tmp_path: Path) -> None:
    lines = tuple((f"s{n}", "ab"[k], 10 * n + k, "de", n if n % 10 else "") for n in range(1, 100) for k in (0, 1))
    raw = read_log(csv(tmp_path, lines), by("price"))
    found = groups_of_column(raw, build_log(raw).vocabulary)
    assert found is not None
    assert found.labels == ("1 to 19", "21 to 39", "41 to 59", "61 to 79", "81 to 99", "none")
    assert np.bincount(found.of).tolist() == [18, 18, 18, 18, 18, 9]


def test_groups_of_few_numbers_are_these_in_order(tmp_path: Path) -> None:
    lines = tuple((f"s{n}", "ab"[k], 10 * n + k, "de", (10, 9, 100)[n % 3]) for n in range(9) for k in (0, 1))
    raw = read_log(csv(tmp_path, lines), by("price"))
    found = groups_of_column(raw, build_log(raw).vocabulary)
    assert found is not None
    assert found.labels[:3] == ("9", "10", "100")


def test_groups_of_many_words_are_the_most_frequent_and_others(tmp_path: Path) -> None:
    lines = tuple(
        (f"s{n}-{c}", "ab"[k], 1000 * c + 10 * n + k, f"c{c}", 1)
        for c in range(30)
        for n in range(c + 1)
        for k in (0, 1)
    )
    raw = read_log(csv(tmp_path, lines), by("country"))
    found = groups_of_column(raw, build_log(raw).vocabulary)
    assert found is not None
    assert found.labels[0] == "c29"
    assert (len(found.labels), found.labels[20]) == (22, "others")
    assert np.count_nonzero(found.of == 20) == sum(range(1, 11))


def test_column_that_is_not_there_or_that_a_format_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column colour; there are session_id.*--by"):
        read_log(csv(tmp_path), by("colour"))
    (tmp_path / "clicks.dat").write_text("1,2014-04-07T10:51:09.277Z,214536502,0\n")
    with pytest.raises(DataError, match="yoochoose has no column"):
        read_log(tmp_path / "clicks.dat", ReadOptions(format="yoochoose", columns=Columns(extra="price")))


def test_standing_groups_by_hand(tmp_path: Path) -> None:
    raw = read_log(csv(tmp_path))
    log = build_log(raw)
    repeats, length, frequency = standing_groups(log, log.popularity())
    assert [repeats.labels[of] for of in repeats.of] == ["repeats", "without", "without"]
    assert [length.labels[of] for of in length.of] == ["1", "1", "2"]
    assert [frequency.labels[of] for of in frequency.of] == ["head", "head", "tail"]  # a, a, c


def test_grouped_figures_add_up_to_those_of_all() -> None:
    ranks = np.array([1, 0, 2, 4, 1, 0], np.int32)
    kind = Groups(name="half", labels=("first", "second", "empty"), of=np.array([0, 0, 0, 1, 1, 1]))
    found = grouped(ranks, [kind], (2, 4))["half"]
    assert set(found) == {"first", "second"}
    assert found["first"]["recall@2"] == pytest.approx(2 / 3)
    assert found["second"]["mrr@4"] == pytest.approx((1 + 1 / 4) / 3)
    assert found["second"]["recall@2"] == pytest.approx(1 / 3)
    assert sum(one["share"] for one in found.values()) == 1.0
    assert rows({"half": found}, ["recall@2"])[0] == ["half", "first", "3", "50.0%", "0.6667"]


def test_evaluate_has_groups_whose_figures_are_those_of_all_together(tmp_path: Path) -> None:
    log = csv(tmp_path)
    found = evaluate_baseline("popularity", log, log, ReadOptions(), (1, 2), by="country")
    assert set(found["groups"]) == {"repeats", "length", "frequency", "country"}
    for groups in found["groups"].values():
        assert sum(one["predictions"] for one in groups.values()) == found["predictions"]
        for measure in ("recall@1", "mrr@2", "ndcg@2"):
            assert sum(one["share"] * one[measure] for one in groups.values()) == pytest.approx(found[measure])
    assert {"novelty@2", "popularity_share@2", "diversity@2", "coverage@2"} <= set(found)
