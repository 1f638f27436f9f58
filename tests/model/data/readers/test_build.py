"""Tests of `model.data.readers.build`."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from model.data import gather
from model.data.readers import RawLog, build, build_log, read_log
from model.data.readers.report import ReadReport
from model.errors import DataError
from tests.model.logs import sessions_of

Click = tuple[str, str, int]
CLICKS = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.sampled_from(["a", "b", "c", "10", "9"]), st.integers(0, 20)),
    min_size=1,
    max_size=30,
)


def raw_log(folder: Path, clicks: list[Click]) -> RawLog:
    file = folder / "log.csv"
    lines = "".join(f"{session},{item},{ts}\n" for session, item, ts in clicks)
    file.write_text("session_id,item_id,ts\n" + lines)
    return read_log(file)


def by_hand(clicks: list[Click], known: set[str] | None, min_support: int, min_length: int) -> list[list[str]]:
    """Return the sessions by the words of `build_log`, in the order of their last click."""

    def long_enough(clicks: list[Click]) -> list[Click]:
        length = Counter(session for session, _, _ in clicks)
        return [click for click in clicks if length[click[0]] >= min_length]

    if known is None:
        clicks = long_enough(clicks)
        support = Counter(item for _, item, _ in clicks)
        known = {item for item in support if support[item] >= min_support}
    clicks = long_enough([click for click in clicks if click[1] in known])
    clicks.sort(key=lambda click: click[2])
    sessions: dict[str, list[Click]] = {}
    for click in clicks:
        sessions.setdefault(click[0], []).append(click)
    return [[item for _, item, _ in part] for part in sorted(sessions.values(), key=lambda part: part[-1][2])]


@example(clicks=[("p", "9", 0), ("p", "10", 1)], min_support=1, min_length=1, given=False)
@example(clicks=[("p", "9", 0), ("p", "10", 1), ("q", "a", 2)], min_support=1, min_length=1, given=False)
@given(clicks=CLICKS, min_support=st.integers(1, 4), min_length=st.integers(1, 3), given=st.booleans())
def test_any_log_is_filtered_and_ordered_as_by_hand(
    tmp_path_factory: pytest.TempPathFactory, clicks: list[Click], min_support: int, min_length: int, given: bool
) -> None:
    vocabulary = Vocabulary(["c", "a", "unseen"]) if given else None
    wanted = by_hand(clicks, set(vocabulary.items) if vocabulary else None, min_support, min_length)
    raw = raw_log(tmp_path_factory.mktemp("build"), clicks)
    if not wanted:
        with pytest.raises(DataError, match="no session of at least"):
            build_log(raw, vocabulary, min_support=min_support, min_length=min_length)
        return
    log = build_log(raw, vocabulary, min_support=min_support, min_length=min_length)
    assert sorted(sessions_of(log)) == sorted(wanted)
    ends = [int(log.ts[end - 1]) for end in log.offsets[1:]]
    assert ends == sorted(ends)
    if vocabulary is None:
        assert set(log.vocabulary.items) == {item for session in wanted for item in session}
        numbers = all(item.isdigit() for _, item, _ in clicks)  # those go by value, text by its bytes
        assert list(log.vocabulary.items) == sorted(log.vocabulary.items, key=int if numbers else str)
    else:
        assert log.vocabulary is vocabulary


def test_clicks_of_equal_time_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    clicks = [("s", item, 5) for item in "cabcb"] + [("s", "z", 1)]
    assert sessions_of(build_log(raw_log(tmp_path, clicks))) == [["z", *"cabcb"]]


def test_support_counts_only_clicks_of_sessions_that_are_long_enough(tmp_path: Path) -> None:
    clicks = [("1", "a", 1), ("2", "a", 2), ("3", "b", 3), ("3", "b", 4)]
    assert build_log(raw_log(tmp_path, clicks), min_support=2).vocabulary.items == ("b",)


@pytest.mark.parametrize(("min_support", "min_length"), [(0, 2), (1, 0)])
def test_thresholds_below_one_are_refused(tmp_path: Path, min_support: int, min_length: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        build_log(raw_log(tmp_path, [("1", "a", 1)]), min_support=min_support, min_length=min_length)


def numbers_log(clicks: int, ts: NDArray[np.int64]) -> RawLog:
    random = np.random.default_rng(0)
    return RawLog(
        sessions=random.integers(0, clicks // 8, clicks).astype(np.int32),
        items=random.integers(0, 100, clicks).astype(np.int32),
        ts=ts,
        kinds=np.zeros(clicks, np.uint8),
        session_ids=pa.array(np.arange(clicks // 8)),
        item_ids=pa.array(np.arange(100)),
        report=ReadReport(),
    )


def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gather, build):
        monkeypatch.setattr(module, "AT_ONCE", 1 << 12)
    monkeypatch.setattr(build, "SESSIONS", 1 << 10)
    monkeypatch.setattr(build, "CLICKS", 1 << 14)


@pytest.mark.parametrize("in_order", [True, False], ids=["by time", "in any order"])
def test_log_is_the_same_however_few_clicks_are_looked_at_at_once(
    in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = numbers_log(50_000, np.arange(50_000) if in_order else np.random.default_rng(1).integers(0, 9_000, 50_000))
    whole = build_log(raw)
    few_at_once(monkeypatch)
    assert build_log(raw).digest() == whole.digest()


def test_log_is_built_in_some_20_bytes_a_click_beside_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    few_at_once(monkeypatch)
    raw = numbers_log(200_000, np.arange(200_000))
    tracemalloc.start()
    log = build_log(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 22 * log.clicks  # the log takes 12; with whole columns of 64 bits it would be 39
