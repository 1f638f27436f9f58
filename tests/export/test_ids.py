"""The law of ids, and that logs and stream both go by it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export.ids import (
    ID_SCHEMA_PATTERN,
    MAX_ID_BYTES,
    NOTHING_WORDS,
    id_fault,
    is_nothing,
    is_plain,
    normal_id,
)
from model.data.readers import ReadOptions, iter_clicks, read_log
from model.errors import DataError
from stream.errors import BadClick
from stream.messages.contract import decode_click

NOW = 1_700_000_000_000
texts = st.text(max_size=12) | st.sampled_from(sorted(NOTHING_WORDS)) | st.from_regex(r"\A *-?0*[0-9]{1,19}\.0* *\Z")


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("sku-7", "sku-7"),
        (" 7 ", "7"),
        ("214676010.0", "214676010"),
        ("7.000", "7"),
        ("-7.0", "-7"),
        ("-0.0", "0"),
        ("007", "007"),
        ("007.0", "007.0"),
        ("1e5", "1e5"),
        ("1.50", "1.50"),
        ("7.0\u2028", "7.0\u2028"),
        ("a b", "a b"),
        ("\u00a0a", "\u00a0a"),
        ("NULL", ""),
        (" NaN ", ""),
        ("\\N", ""),
        ("none", ""),
        ("nan-bread", "nan-bread"),
        ("   ", ""),
    ],
)
def test_text_means_the_id(text: str, item: str) -> None:
    assert normal_id(text) == item
    assert is_nothing(text) == (item == "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a", None),
        ("x" * 256, None),
        ("x" * 257, "too_long"),
        ("ü" * 129, "too_long"),
        ("a\tb", "control_characters"),
        ("a\x85", "control_characters"),
        ("a\ufffd", "control_characters"),
        ("null", "empty"),
        ("", "empty"),
        ("\u2028", None),
    ],
)
def test_fault_names_the_rule(text: str, fault: str | None) -> None:
    assert id_fault(text) == fault


@given(texts)
def test_normal_form_is_its_own(text: str) -> None:
    assert normal_id(normal_id(text)) == normal_id(text)


@given(texts)
def test_plain_text_is_an_id_as_it_stands(text: str) -> None:
    if is_plain(text):
        assert id_fault(text) is None
        assert normal_id(text) == text


@given(texts)
def test_schema_takes_what_the_law_takes(text: str) -> None:
    found = id_fault(text)
    assert (re.search(ID_SCHEMA_PATTERN, text) is not None) == (found in (None, "too_long")) or text.endswith("\n")


def in_stream(text: str) -> str | None:
    """What the stream takes a text for, as an item; None: rejected."""
    try:
        return decode_click(json.dumps({"session_id": "s", "item_id": text, "ts": NOW}).encode(), b"s", NOW).item_id
    except BadClick:
        return None


def in_log(folder: Path, text: str) -> str | None:
    """What a CSV's reader takes a text for, as an item; None: a bad line."""
    file = folder / "log.csv"
    quoted = text.replace('"', '""')
    file.write_text(f'session_id,item_id,timestamp\ns,"{quoted}",{NOW}\n', encoding="utf-8", newline="")
    try:
        return next(iter_clicks(read_log(file, ReadOptions(max_bad_share=1))))[1]
    except DataError:
        return None


@given(texts.filter(lambda text: not set(text) & set("\r\n\ufeff")))
@example("x" * MAX_ID_BYTES)
@example("x" * (MAX_ID_BYTES + 1))
@example("  7.0 ")
@example("\\n")
@example("0.0")
@example("-0")
@example("1234567890123456789.0")
@example("a\x85b")
@example("a\u2028b")
@example("a\ufffdb")
def test_logs_and_stream_take_a_text_for_the_same_id(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert in_log(tmp_path_factory.mktemp("log"), text) == in_stream(text)


def test_key_with_the_spaces_of_its_session_is_the_session() -> None:
    value = json.dumps({"session_id": " s 1 ", "item_id": "7.0", "ts": NOW}).encode()
    for key in (b" s 1 ", b"s 1"):
        click = decode_click(value, key, NOW)
        assert (click.session_id, click.item_id) == ("s 1", "7")
    with pytest.raises(BadClick):
        decode_click(value, b"s1", NOW)
