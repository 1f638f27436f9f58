"""Tests of export/vocabulary.py."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.vocabulary import PAD, Vocabulary

ids = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), unique=True, max_size=30)


@given(ids)
def test_vocabulary_written_and_read_is_the_same(items: list[str]) -> None:
    vocabulary = Vocabulary(items)
    assert Vocabulary.from_bytes(vocabulary.to_bytes()) == vocabulary
    assert json.loads(vocabulary.to_bytes()) == items


@given(ids)
def test_index_and_item_are_inverse(items: list[str]) -> None:
    vocabulary = Vocabulary(items)
    assert [vocabulary.item(vocabulary.index(item)) for item in items] == items
    assert vocabulary.encode(items) == list(range(1, len(items) + 1))
    assert vocabulary.decode(vocabulary.encode(items)) == items


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
    vocabulary = pickle.loads(pickle.dumps(Vocabulary("abc")))
    assert vocabulary == Vocabulary("abc")
    assert hash(vocabulary) == hash(Vocabulary("abc"))
    assert vocabulary != Vocabulary("acb")
    assert "b" in vocabulary
    assert "z" not in vocabulary
    assert len(vocabulary) == 3
