"""Tests of export/bundle/vocabulary.py."""

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle import vocabulary
from export.bundle.vocabulary import PAD, Vocabulary

ids = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), unique=True, max_size=30)


@given(ids)
def test_vocabulary_written_and_read_is_the_same(items: list[str]) -> None:
    made = Vocabulary(items)
    assert Vocabulary.from_bytes(made.to_bytes()) == made
    assert json.loads(made.to_bytes()) == items


@given(st.lists(st.text(st.sampled_from('a,"\\\\[] é')), max_size=60), st.integers(0, 40), st.sampled_from([None, 1]))
def test_json_read_in_parts_holds_the_same_strings(items: list[str], size: int, indent: int | None) -> None:
    content = json.dumps(items, indent=indent, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.bundle.vocabulary._PART", size)
        patch.setattr("export.gently._PAUSE_S", 0)
        parts = list(vocabulary._parts(content))
    assert [item for part in parts for item in json.loads(part)] == items


def test_vocabulary_of_many_items_is_made_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("export.gently.time.sleep", pauses.append)
    items = [f"item-{number}" for number in range(30_000)]
    made = Vocabulary.from_bytes(json.dumps(items, separators=(",", ":")).encode())
    assert made == Vocabulary(items)
    assert [made.index(item) for item in (items[0], items[4_096], items[-1])] == [1, 4_097, 30_000]
    assert len(pauses) >= 2 * 30_000 // 4_096


@pytest.mark.parametrize("place", [0, 9_000, 19_999])
@pytest.mark.parametrize("wrong", ["", 7, None, "item-5"])
def test_vocabulary_with_a_wrong_item_anywhere_is_refused(place: int, wrong: Any) -> None:
    items: list[Any] = [f"item-{number}" for number in range(20_000)]
    items[place] = wrong
    with pytest.raises(ValueError, match=r".+"):
        Vocabulary.from_bytes(json.dumps(items, separators=(",", ":")).encode())


@given(ids)
def test_index_and_item_are_inverse(items: list[str]) -> None:
    made = Vocabulary(items)
    assert [made.item(made.index(item)) for item in items] == items
    assert made.encode(items) == list(range(1, len(items) + 1))
    assert made.decode(made.encode(items)) == items


def test_index_of_unknown_item_is_padding() -> None:
    assert Vocabulary("abc").index("z") == PAD == 0


def test_encode_unknown_items_leaves_them_out() -> None:
    assert Vocabulary("abc").encode(["c", "z", "a", "c"]) == [3, 1, 3]


@pytest.mark.parametrize("index", [0, -1, 4])
def test_item_outside_the_catalogue_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=r"not in 1\.\.3"):
        Vocabulary("abc").item(index)


@pytest.mark.parametrize("items", [["a", "a"], [""]])
def test_vocabulary_of_repeated_or_empty_ids_is_refused(items: list[str]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary(items)


@pytest.mark.parametrize(
    "content", [b"", b"[", b'{"a": 1}', b"[1]", b'["a", null]', b"\xff\xfe", b'["a", "a"]', b"[" * 100_000]
)
def test_from_bytes_of_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Vocabulary.from_bytes(content)


def test_vocabulary_pickled_is_equal_and_answers() -> None:
    made = pickle.loads(pickle.dumps(Vocabulary("abc")))
    assert made == Vocabulary("abc")
    assert hash(made) == hash(Vocabulary("abc"))
    assert made != Vocabulary("acb")
    assert "b" in made
    assert "z" not in made
    assert len(made) == 3


def test_large_vocabulary_is_read_in_little_more_memory_than_it_keeps(tmp_path: Path) -> None:
    """A worker has the one in service as well: what a load takes for a moment decides whether both fit."""
    file = tmp_path / "items.json"
    file.write_bytes(json.dumps([f"item-{number:012}" for number in range(400_000)], separators=(",", ":")).encode())
    tracemalloc.start()
    with file.open("rb") as opened:
        made = Vocabulary.read(opened, file.stat().st_size)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.index("item-000000399999") == 400_000
    assert most < 1.6 * kept
