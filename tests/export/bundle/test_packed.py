"""Tests of export/bundle/packed.py, and of a vocabulary that is kept so, against a tuple and a dict."""

import io
import pickle
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle import packed, plain_json, vocabulary
from export.bundle.hashing import hash_of, slot_of, slots_of
from export.bundle.packed import PackedIndex, PackedStrings
from export.bundle.plain_json import strings_in
from export.bundle.vocabulary import Vocabulary
from export.policy.catalogue import Extended

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def in_short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_STEP", 3)
    monkeypatch.setattr("export.gently._PAUSE_S", 0.0)
    monkeypatch.setattr(vocabulary, "_PACKED_FROM", 4)
    monkeypatch.setattr(vocabulary, "_JSON_OF_PACKED", 16)
    monkeypatch.setattr(packed, "_AT_ONCE", 7)
    monkeypatch.setattr(plain_json, "_AT_ONCE", 40)


def strings_of(content: bytes) -> PackedStrings | None:
    return strings_in(io.BytesIO(content), len(content))


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


@given(st.lists(texts, max_size=30))
def test_strings_are_a_sequence_as_a_tuple_is(strings: list[str]) -> None:
    made, same = PackedStrings(strings), tuple(strings)
    assert tuple(made) == same
    assert len(made) == len(same)
    for place in range(-len(same), len(same)):
        assert made[place] == same[place]
    for part in (slice(None), slice(1, -1), slice(None, None, -2), slice(5, 100)):
        assert made[part] == same[part]
    for outside in (len(same), -len(same) - 1):
        with pytest.raises(IndexError, match="none at"):
            made[outside]
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert hash(again) == hash(made)
    assert made != PackedStrings([*strings, "x"])
    assert made != same


@given(st.lists(texts, max_size=40), texts, st.integers(0, 3))
def test_index_finds_what_is_there_and_counts_repeats(strings: list[str], other: str, first: int) -> None:
    index = PackedIndex(PackedStrings(strings), first)
    number: Any = 3
    assert number not in index
    assert len(index) == len(strings)
    assert list(index) == strings
    assert index.repeated == len(strings) - len(set(strings))
    for string in strings:
        assert strings[index[string] - first] == string
        assert index.get(string) == index[string]
        assert string in index
    assert (other in index) == (other in strings)
    if other not in strings:
        assert index.get(other, -7) == -7
        with pytest.raises(KeyError):
            index[other]


def test_index_tells_strings_of_one_hash_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as have slots, and more: those that somebody made so must not stand in each other's way."""
    strings = [f"item-{number}" for number in range(40)]
    monkeypatch.setattr(packed, "hash_of", len)
    monkeypatch.setattr(packed, "hashes_of", lambda _text, starts, ends: (ends - starts).astype(np.uint64))
    for most in (64, 5):
        monkeypatch.setattr(packed, "_MOST_ALIKE", most)
        index = PackedIndex(PackedStrings([*strings, "item-3", "item-39"]), 1)
        assert index.repeated == 2
        assert [index.get(string) for string in strings] == list(range(1, 41))
        assert "item-40" not in index


def test_hundred_thousand_crafted_strings_of_one_hash_are_indexed_as_fast_as_others() -> None:
    """Their numbers are the modulus apart: one behind the other, each would look at all those before it."""
    crafted = [(int.from_bytes(b"aaaaaaaaaaaa", "little") + (number << 61) - number) for number in range(100_000)]
    texts = [text for number in crafted if (text := _ascii(number)) is not None]
    assert len(texts) > 1_000
    assert len({hash_of(text.encode()) for text in texts}) == 1
    index = PackedIndex(PackedStrings(texts), 1)
    assert len(index._crowded) == len(texts) - packed._MOST_ALIKE
    assert [index.get(text) for text in texts] == list(range(1, len(texts) + 1))


def _ascii(number: int) -> str | None:
    text = number.to_bytes(12, "little")
    return text.decode() if max(text) < 128 else None


@given(st.lists(texts | st.text(min_size=9, max_size=60).filter(_is_utf8), max_size=30))
def test_hashes_of_many_strings_are_those_of_each(strings: list[str]) -> None:
    made = PackedStrings(strings)
    assert made.hashes(0, len(strings)).tolist() == [hash_of(string.encode()) for string in strings]
    slots = slots_of(made.hashes(0, len(strings)), 7).tolist()
    assert slots == [slot_of(hash_of(string.encode()), 7) for string in strings]
    assert made.hashes(1, len(strings)).tolist() == made.hashes(0, len(strings)).tolist()[1:]


@given(st.lists(texts, max_size=30))
def test_plain_json_is_read_in_parts_as_a_parser_reads_it(strings: list[str]) -> None:
    content = msgspec.json.encode(strings)
    found = strings_of(content)
    if strings and b"\\" not in content:
        # One that is a comma may end a part where none ends
        assert "," in strings or (found is not None and tuple(found) == tuple(strings))
    assert found is None or tuple(found) == tuple(strings)


@given(st.lists(st.sampled_from(['"', ",", "[", "]", "a", "é".encode().decode("latin-1"), " ", "\n"]), max_size=12))
def test_what_plain_json_is_not_is_left_to_the_parser(parts: list[str]) -> None:
    content = ('["' + "".join(parts) + '"]').encode("latin-1")
    found = strings_of(content)
    if found is not None:
        assert msgspec.json.decode(content, type=list[str]) == list(found)


def test_letters_cut_in_two_by_a_quote_are_no_strings() -> None:
    letter = "é".encode()
    assert strings_of(b'["a' + letter + b'"]') == PackedStrings(["aé"])
    assert strings_of(b'["a' + letter[:1] + b'","' + letter[1:] + b'"]') is None


def many() -> list[str]:
    return [f"item-{number}" for number in range(20)]


def test_large_vocabulary_is_kept_as_bytes_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Vocabulary(iter(many()))
    monkeypatch.setattr(vocabulary, "_PACKED_FROM", 1_000)
    small = Vocabulary(many())
    assert isinstance(large.items, PackedStrings)
    assert isinstance(small.items, tuple)
    assert tuple(large.items) == small.items
    asked = ["item-3", "who?", "item-19", "item-0"]
    assert large.look_up(asked, 4).tolist() == small.look_up(asked, 4).tolist() == [4, 0, 20, 1]
    assert large.encode(asked) == small.encode(asked)
    assert large.index("item-7") == 8
    assert large.item(8) == "item-7"
    assert large.decode([1, 20]) == ["item-0", "item-19"]
    assert large.to_bytes() == small.to_bytes()
    assert "item-5" in large
    assert "item-20" not in large


def test_large_vocabularies_are_equal_by_their_items_and_survive_bytes_and_pickle() -> None:
    one = Vocabulary(many())
    assert Vocabulary.from_bytes(one.to_bytes()) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(Vocabulary(many())) == hash(one)
    assert Vocabulary([*many()[:-1], "another"]) != one
    more = Extended(one, ["new"])
    assert more.look_up(["new", "item-0", "who?"], 3).tolist() == [21, 1, 0]


@pytest.mark.parametrize("wrong", ["", 5, None])
def test_large_vocabulary_refuses_what_a_small_one_does(wrong: object) -> None:
    with pytest.raises(ValueError, match="other than non-empty strings"):
        Vocabulary([*many(), wrong])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="names 2 items more than once"):
        Vocabulary([*many(), "item-3", "item-3"])


def test_empty_bytes_are_no_string() -> None:
    assert PackedStrings([])._text == b""
    assert np.asarray(PackedStrings(["a", "bc"])._ends).tolist() == [0, 1, 3]


def test_one_string_many_times_is_told_as_soon_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would look for its slot behind all those before it: the time of a hostile file."""
    monkeypatch.setattr(packed, "_STEP", 4_096)
    index = PackedIndex(PackedStrings(["a"] * 100_000 + ["b"]), 1)
    assert index.repeated == 99_999
    assert (index["a"], index["b"]) == (1, 100_001)


def test_items_behind_a_large_vocabulary_leave_it_as_it_is_kept() -> None:
    one = Vocabulary(many())
    more = Extended(one, ["new", "newer"])
    whole = [*many(), "new", "newer"]
    assert not isinstance(more.items, tuple)
    assert list(more.items) == whole
    assert [more.items[place] for place in (0, 19, 20, 21, -1, -22)] == [
        whole[place] for place in (0, 19, 20, 21, -1, -22)
    ]
    assert more.items[18:21] == tuple(whole[18:21])
    assert more == Extended(one, ["new", "newer"])
    assert more != Extended(one, ["new"])
    assert hash(more) == hash(Extended(one, ["new", "newer"]))
    for beyond in (22, -23):
        with pytest.raises(IndexError, match="there are 22 strings"):
            more.items[beyond]
