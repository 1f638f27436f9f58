"""Clicks in parts: each offset once whatever fails, whole sessions in the window, one writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.registry.remote_files import RemoteFiles
from model.data.readers import ReadOptions
from model.errors import DataError, LeadLost
from model.trainer.kept.files import Files, LocalFiles, StoredFiles, open_files
from model.trainer.kept.store import ClickStore
from model.trainer.kept.window import import_log, read_window

HOUR = 3_600_000
BEGIN = 1_700_000_000_000


class MemoryFiles:
    """Files that may fail, before or after they did what was asked."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.fails: list[str] = []  # what the next calls do: fine, before, after

    def _turn(self, work: Any) -> Any:
        how = self.fails.pop(0) if self.fails else "fine"
        if how == "before":
            raise OSError("no answer")
        result = work()
        if how == "after":
            raise OSError("the answer was lost")
        return result

    def names(self) -> list[str]:
        return list(self.content)

    def read(self, name: str) -> bytes:
        return self.content[name]

    def take(self, name: str, content: bytes) -> bool:
        def work() -> bool:
            if name in self.content:
                return False
            self.content[name] = content
            return True

        return bool(self._turn(work))

    def replace(self, name: str, content: bytes) -> None:
        self._turn(lambda: self.content.update({name: content}))

    def remove(self, name: str) -> None:
        self._turn(lambda: self.content.pop(name, None))

    def place(self, name: str, target: Path) -> None:
        target.write_bytes(self.content[name])


def rows(*clicks: tuple[str, str, int]) -> dict[str, list[Any]]:
    return {
        "session_id": [session for session, _, _ in clicks],
        "item_id": [item for _, item, _ in clicks],
        "timestamp": [ts for _, _, ts in clicks],
        "type": ["click"] * len(clicks),
    }


def store_with(files: Files, *parts: tuple[int, int]) -> ClickStore:
    """Parts of two clicks each, at an hour after BEGIN, with their next offset."""
    store = ClickStore(files)
    for hour, offset in parts:
        ts = BEGIN + hour * HOUR
        store.append(rows((f"s{hour}", "a", ts), (f"s{hour}", "b", ts + 1)), topic="clicks", next_offsets={"0": offset})
    return store


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "local":
        return LocalFiles(tmp_path / "store")
    return StoredFiles(RemoteFiles(fsspec.filesystem("memory")), f"/{tmp_path.name}")


def test_store_goes_on_where_it_ended(files: Files) -> None:
    store_with(files, (0, 10), (1, 20))
    again = ClickStore(files)
    assert (again.next_offsets, again.clicks, again.newest.total) == ({0: 20}, 4, 4)
    assert again.last_ts == BEGIN + HOUR + 1
    again.append(rows(), next_offsets={"0": 25})
    assert ClickStore(files).next_offsets == {0: 25}, "messages that are no clicks were read as well"
    assert ClickStore(files).clicks == 4


def test_second_writer_hears_that_it_does_not_lead(files: Files) -> None:
    first = store_with(files, (0, 10))
    zombie = ClickStore(files)
    first.append(rows(("x", "a", BEGIN)), next_offsets={"0": 11})
    with pytest.raises(LeadLost):
        zombie.append(rows(("x", "a", BEGIN)), next_offsets={"0": 11})
    assert ClickStore(files).clicks == 3


def test_window_has_whole_sessions_over_parts_and_cuts_at_pauses(tmp_path: Path) -> None:
    store = ClickStore(LocalFiles(tmp_path))
    store.append(rows(("a", "x", BEGIN), ("a", "y", BEGIN + 1000), ("old", "x", BEGIN - 50 * HOUR)))
    store.append(rows(("a", "z", BEGIN + 2000), ("a", "late", BEGIN + 2000 + HOUR), ("b", "x", BEGIN + 3 * HOUR)))
    raw = read_window(store, store.names(window_ms=6 * HOUR), window_ms=6 * HOUR, gap_ms=HOUR // 2)
    names = raw.session_ids.to_pylist()
    items = raw.item_names()
    found: dict[str, list[str]] = {}
    for session, item in zip(raw.sessions.tolist(), raw.items.tolist(), strict=True):
        found.setdefault(str(names[session]), []).append(items[item])
    assert found == {"a": ["x", "y", "z"], "a~2": ["late"], "b": ["x"]}


def test_window_of_nothing_is_refused(tmp_path: Path) -> None:
    store = ClickStore(LocalFiles(tmp_path))
    with pytest.raises(DataError, match="no clicks yet"):
        read_window(store, store.names(window_ms=HOUR), window_ms=HOUR, gap_ms=HOUR)


def test_trim_removes_what_left_the_window_a_day_ago_and_never_the_newest(files: Files) -> None:
    store = store_with(files, (0, 1), (10, 2), (40, 3))
    assert store.trim(window_ms=2 * HOUR, most_bytes=1 << 30) == (4, 0)
    assert ClickStore(files).next_offsets == {0: 3}
    assert store.trim(window_ms=HOUR, most_bytes=1) == (0, 0)
    assert store.clicks == 2


def test_trim_by_bytes_removes_the_oldest_and_counts_them_apart(files: Files) -> None:
    store = store_with(files, (0, 1), (1, 2), (2, 3))
    assert store.trim(window_ms=100 * HOUR, most_bytes=store.bytes - 1) == (0, 2)
    assert (store.clicks, store.newest.total) == (4, 6)


def test_small_parts_are_joined_and_nothing_changes_for_who_reads(files: Files) -> None:
    store = store_with(files, *((hour, hour + 1) for hour in range(20)))
    before = read_window(store, store.names(window_ms=100 * HOUR), window_ms=100 * HOUR, gap_ms=HOUR)
    assert store.join_small() == 19
    again = ClickStore(files)
    assert [part.name for part in again.parts] == ["1-19.parquet", "20-20.parquet"]
    assert (again.next_offsets, again.clicks, again.newest.total) == ({0: 20}, 40, 40)
    after = read_window(again, again.names(window_ms=100 * HOUR), window_ms=100 * HOUR, gap_ms=HOUR)
    assert (after.ts == before.ts).all()
    assert after.item_names() == before.item_names()
    again.append(rows(("z", "a", BEGIN)), next_offsets={"0": 21})
    assert again.parts[-1].name == "21-21.parquet"


def test_erased_sessions_are_in_no_part_and_nothing_else_changes(files: Files) -> None:
    store = store_with(files, (0, 2), (1, 4), (2, 6))
    store.append(rows(("s1", "c", BEGIN), ("t", "c", BEGIN + 9)), topic="clicks", next_offsets={"0": 8})
    before = store.newest
    assert store.erase({"s1", "unknown"}) == {"s1": 3, "unknown": 0}
    again = ClickStore(files)
    assert (again.clicks, [part.meta.clicks for part in again.parts]) == (5, [2, 0, 2, 1])
    assert again.newest.total == before.total
    assert (again.next_offsets, again.newest.first_ts) == ({0: 8}, BEGIN + 9)
    assert again.names(window_ms=HOUR) == ["1-1.parquet", "3-3.parquet", "4-4.parquet"]
    assert not any(b"s1" in files.read(name) for name in files.names())
    assert again.erase({"s1"}) == {"s1": 0}, "read again after a kill"


def test_erase_reaches_what_a_joined_part_covers_and_counts_it_once() -> None:
    files = MemoryFiles()
    store = store_with(files, *((hour, hour) for hour in range(20)))
    left = dict(files.content)
    store.join_small()
    files.content = {**left, **files.content}  # the kill came before the small ones were removed
    store = ClickStore(files)
    assert store.erase({"s3"}) == {"s3": 2}
    assert not any(b"s3" in content for content in files.content.values())


def test_small_parts_are_joined_until_none_are_left_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.trainer.kept.store._JOINED", 40)  # clicks; a part has two
    store = store_with(MemoryFiles(), *((hour, hour + 1) for hour in range(61)))
    assert store.join_small() == 60
    assert [part.name for part in store.parts] == [f"{first}-{first + 19}.parquet" for first in (1, 21, 41)] + [
        "61-61.parquet"
    ]


@pytest.mark.slow
@given(st.lists(st.sampled_from(["fine", "before", "after"]), max_size=25), st.integers(0, 3))
def test_every_offset_is_stored_once_whatever_fails_and_whenever(fails: list[str], tidies: int) -> None:
    """A storage that fails before or after it did its work is as good as a kill at that moment: the trainer begins
    anew from what is there."""
    files = MemoryFiles()
    files.fails = list(fails)
    stored, attempts = 0, 0
    while stored < 40 and attempts < 200:
        attempts += 1
        try:
            store = ClickStore(files)
            begin = store.next_offsets.get(0, 0)
            stored = begin
            while stored < 40:
                end = min(stored + 2, 40)
                clicks = [(f"s{offset}", f"o{offset}", BEGIN + offset) for offset in range(stored, end)]
                store.append(rows(*clicks), next_offsets={"0": end})
                stored = end
                if tidies and stored % (8 * tidies) == 0:
                    store.join_small()
        except (OSError, LeadLost):
            stored = 0
    store = ClickStore(files)
    raw = read_window(store, store.names(window_ms=HOUR), window_ms=HOUR, gap_ms=HOUR)
    assert sorted(raw.item_names()) == sorted(f"o{offset}" for offset in range(40))
    assert raw.clicks == store.clicks == store.newest.total == 40


def test_part_that_is_damaged_is_named(tmp_path: Path) -> None:
    store_with(LocalFiles(tmp_path), (0, 1))
    (tmp_path / "2-2.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(DataError, match=r"2-2\.parquet"):
        ClickStore(LocalFiles(tmp_path))


def test_import_of_a_log_is_made_once_and_gone_on_with_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.trainer.kept.window._SLICE", 10)
    log = tmp_path / "clicks.csv"
    lines = [f"s{number // 2},i{number % 7},{BEGIN + number}" for number in range(45)]
    log.write_text("session_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    files = MemoryFiles()
    files.fails = ["fine", "fine", "before"]
    with pytest.raises(OSError, match="no answer"):
        import_log(ClickStore(files), log, ReadOptions(), lambda _: None)
    store = ClickStore(files)
    assert import_log(store, log, ReadOptions(), lambda _: None) == 25
    assert import_log(store, log, ReadOptions(), lambda _: None) == 0
    assert (ClickStore(files).clicks, store.newest.imported_until) == (45, BEGIN + 44)
    store.append(rows(("x", "y", BEGIN + 100)), topic="clicks", next_offsets={"0": 1})
    assert store.newest.imported_until == BEGIN + 44
    assert import_log(store, log, ReadOptions(), lambda _: None) == 0


def test_files_take_a_name_once_and_leave_nothing_of_a_kill(tmp_path: Path) -> None:
    (tmp_path / ".partial-of-a-killed-one").write_bytes(b"half")
    files = open_files(str(tmp_path))
    assert files.take("1-1.parquet", b"a")
    assert not files.take("1-1.parquet", b"b")
    assert (files.read("1-1.parquet"), sorted(path.name for path in tmp_path.iterdir())) == (b"a", ["1-1.parquet"])
    files.remove("1-1.parquet")
    files.remove("1-1.parquet")
    with pytest.raises(FileNotFoundError):
        files.read("1-1.parquet")
