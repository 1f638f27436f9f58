"""Every data set becomes train, validation and test parts that can be judged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.datasets import make_parts, newest_tenth, split_by_column, usable
from export.errors import ConfigError

SPLIT_PROGRAM = """
import sys
from pathlib import Path
for part in ("train", "valid", "test"):
    (Path(sys.argv[1]) / f"{part}.parquet").write_text(" ".join(sys.argv[2:]))
"""


def log(sessions: dict[int, list[int]], split: str = "train", *, first_ts: int = 0) -> pa.Table:
    """Sessions by id, one click a millisecond, session after session."""
    rows = [(session, item) for session, items in sessions.items() for item in items]
    return pa.table(
        {
            "session_id": [session for session, _ in rows],
            "item_id": [item for _, item in rows],
            "timestamp": [first_ts + place for place in range(len(rows))],
            "split": [split] * len(rows),
        }
    )


def sessions(table: pa.Table) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in table.to_pylist():
        found.setdefault(row["session_id"], []).append(row["item_id"])
    return found


def test_split_by_column_takes_the_parts_that_are_named() -> None:
    train, valid, test = {1: [1, 2], 2: [2, 3]}, {3: [1, 3]}, {4: [3, 2]}
    table = pa.concat_tables([log(test, "test"), log(train), log(valid, "valid")])
    parts = split_by_column(table)
    assert {name: sessions(part) for name, part in parts.items()} == {"train": train, "valid": valid, "test": test}
    assert parts["train"].column_names == ["session_id", "item_id", "timestamp"]


def test_split_by_column_without_valid_holds_out_the_newest_tenth_of_train() -> None:
    train = {number: [1, 2, 3] for number in range(20)}
    parts = split_by_column(pa.concat_tables([log(train), log({90: [1, 2]}, "test", first_ts=1_000)]))
    assert sorted(sessions(parts["valid"])) == [18, 19]
    assert sorted(sessions(parts["train"])) == list(range(18))
    assert sorted(sessions(parts["test"])) == [90]


def test_split_by_column_validation_of_train_loses_what_its_rest_does_not_have() -> None:
    train = {number: [1, 2, 3] for number in range(18)} | {18: [4, 1], 19: [1, 4, 2]}
    parts = split_by_column(pa.concat_tables([log(train), log({90: [4, 1, 2]}, "test", first_ts=1_000)]))
    assert sessions(parts["valid"]) == {19: [1, 2]}
    assert sessions(parts["test"]) == {90: [1, 2]}


def test_newest_tenth_goes_by_the_last_click_of_a_session() -> None:
    begun_first = log({number: [1, 2] for number in range(10)})
    ended_last = pa.concat_tables([begun_first.slice(0, 1), begun_first.slice(2), log({0: [2]}, first_ts=1_000)])
    rows = newest_tenth(ended_last)
    assert set(ended_last.filter(pa.array(rows))["session_id"].to_pylist()) == {0}
    assert rows.sum() == 2


def test_usable_drops_unknown_items_first_then_short_sessions() -> None:
    table = log({1: [7, 1, 7, 2], 2: [7, 1], 3: [1, 1], 4: [2]})
    assert sessions(usable(table, pa.array([1, 2]).to_numpy())) == {1: [1, 2], 3: [1, 1]}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("recent", ""), ("full", "--full")])
def test_make_parts_yoochoose_is_split_by_its_own_program(tmp_path: Path, name: str, options: str) -> None:
    (tmp_path / "split.py").write_text(SPLIT_PROGRAM)
    (tmp_path / "yoochoose.parquet").touch()
    parts = make_parts(name, tmp_path, tmp_path / "out")
    assert [part.read_text() for part in (parts.train, parts.valid, parts.test)] == [options] * 3


@pytest.mark.slow
def test_make_parts_split_program_that_fails_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "split.py").write_text("raise SystemExit('the log is cut off')")
    (tmp_path / "yoochoose.parquet").touch()
    with pytest.raises(ConfigError, match="the log is cut off"):
        make_parts("recent", tmp_path, tmp_path / "out")


def test_make_parts_log_with_a_split_column_is_written_in_three(tmp_path: Path) -> None:
    whole = [log({1: [1, 2], 2: [2, 1]}), log({3: [1, 2]}, "valid"), log({4: [2, 1]}, "test")]
    pq.write_table(pa.concat_tables(whole), tmp_path / "serenade_bolcom.parquet")
    parts = make_parts("serenade", tmp_path, tmp_path / "out")
    found = [sessions(pq.read_table(part)) for part in (parts.train, parts.valid, parts.test)]
    assert found == [{1: [1, 2], 2: [2, 1]}, {3: [1, 2]}, {4: [2, 1]}]


@pytest.mark.parametrize("name", ["recent", "full", "yoochoose_100k", "serenade"])
def test_make_parts_missing_files_say_how_to_name_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--data-dir"):
        make_parts(name, tmp_path, tmp_path / "out")
