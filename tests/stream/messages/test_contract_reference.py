"""Table, fast path, slow path and schema say the same of every message: compared with a second writing of the table."""

import json
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.errors import BadClick
from stream.messages.click_rules import MAX_FUTURE_MS, judge_click
from stream.messages.contract import decode_click
from stream.messages.schema import schema_text
from tests.stream.messages.reference import LAST_MS, Outcome, judge

NOW = 1_661_724_000_000
RECORD_TIMES = (NOW, 0, -1, NOW // 1000, -62_135_596_800_000, 2**62)
NAMES = ("session_id", "item_id", "ts", "type", "user_id", "context", "more", "\\u0074s")
TEXTS = [
    ["null", "true", "false", "[]", "{}", "-0", "0", "1", "-1", "1.0", "1e3", "1E1406", "1e999", "-1e999", "1e-999"],
    ["NaN", "Infinity", "01", "1.", ".5", "+", "-", "x", "'x'", '"', '"\\x"', "[1,]", "{1:2}", '"1661724000000"'],
    [str(2**63), str(2**63 - 1), str(-(2**63)), str(-(2**63) - 1), "9" * 19, "9" * 400, "9" * 4300, "9" * 4301],
    ["-" + "9" * 5000, "[1e999]", '{"a": 1e999}', '{"a": [9, %s]}' % ("9" * 4301), '{"a": 1e999, "a": 1}'],
    ['"s"', '"i"', '""', '"\\u0000"', '"a\\u0085"', '"a\x7f"', '"a\\n"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u2028"'],
    ['"%s"' % ("x" * length) for length in (64, 65, 255, 256, 257)],
    ['"%s"' % ("ü" * length) for length in (64, 127, 128, 129)],
    [f'"{name}"' for name in ("click", "carts", "dislike", "dislikes", "Click")],
    [str(ts) for ts in (NOW, NOW // 1000, NOW * 1000, NOW + MAX_FUTURE_MS, NOW + MAX_FUTURE_MS + 1)],
    [str(ts) for ts in (978_307_199, 978_307_200, 2**32 - 1, 2**32, LAST_MS, LAST_MS + 1)],
    ["[" * deep + "]" * closed for deep, closed in ((499, 499), (500, 500), (20_000, 20_000), (499, 0), (20_000, 0))],
    ['{"a":' * deep + "1" + "}" * deep for deep in (498, 499, 500)],
    ['"%s"' % ("[" * 600), '{"a": "' + "[" * 600 + '\\"' + "{" * 600 + '"}'],
]  # fmt: skip
texts = st.sampled_from([text for row in TEXTS for text in row]) | st.text(max_size=6).map(json.dumps)
sound = {"session_id": '"s"', "item_id": '"i"', "ts": str(NOW)}
fields = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=3)
documents = st.tuples(st.permutations(list(sound.items())), fields, st.booleans(), st.integers(0, 4)).map(
    lambda parts: written([*parts[0][: parts[3]], *parts[1]] if parts[2] else [*parts[1], *parts[0][: parts[3]]])
)
messages = documents | texts | st.tuples(documents, st.sampled_from(["", " ", "x", "}", "\ufeff", "\x00"])).map("".join)
keys = st.sampled_from([b"s", b"s", b"s", b"i", b"1", b"", None])


def written(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {text}' for name, text in pairs) + "}"


def outcome(decode: Any, value: bytes, key: bytes | None, record: int) -> Outcome:
    try:
        found = decode(value, key, record)
    except BadClick as error:
        return error.reason
    return found.session_id, found.item_id, found.ts, found.type, found.user_id, found.context is not None


def near(name: str, text: str) -> str:
    return written([*((other, given) for other, given in sound.items() if other != name), (name, text)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", [b"s", b"1"])
def test_click_with_each_odd_value_in_each_field_is_judged_as_the_table_says(name: str, key: bytes) -> None:
    assert sys.get_int_max_str_digits() == 4300, "Python's own limit, which the table names"
    for text in (text for row in TEXTS for text in row):
        value = near(name, text).encode("utf-8", "surrogatepass")
        for record in RECORD_TIMES:
            expected = judge(value, key, record)
            assert outcome(decode_click, value, key, record) == expected, (name, text[:60], record)
            assert outcome(judge_click, value, key, record) == expected, (name, text[:60], record)


@settings(max_examples=4 * settings().max_examples)
@given(messages, keys, st.sampled_from(RECORD_TIMES))
@example("[[[[", b"s", NOW)
@example("1E1406", b"s", NOW)
@example("1e999", b"s", NOW)
@example("9" * 4300, b"s", NOW)
@example("[" * 20_000, b"s", NOW)
@example(near("session_id", "[[[["), b"s", NOW)
@example(near("context", '{"a": 1e999}'), b"s", NOW)
@example(near("ts", "1E1406"), b"s", NOW)
def test_click_of_any_make_is_judged_as_the_table_says(text: str, key: bytes | None, record: int) -> None:
    value = text.encode("utf-8", "surrogatepass")
    expected = judge(value, key, record)
    assert outcome(decode_click, value, key, record) == expected
    assert outcome(judge_click, value, key, record) == expected


SEEN_BY_NO_SCHEMA = {
    "key_missing",
    "key_mismatch",
    "too_large",
    "undecodable",
    "not_utf8",
    "too_deep",
    "not_json",
    "out_of_range_context",
}


@settings(max_examples=4 * settings().max_examples)
@given(documents)
@example(near("item_id", '"a\\n"'))
@example(near("item_id", '"%s"' % ("ü" * 129)))
@example(near("ts", str(NOW // 1000)))
def test_click_schema_takes_what_the_table_takes_but_for_what_no_schema_can_say(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
    value = text.encode("utf-8", "surrogatepass")
    reason = judge(value, b"s", -1)
    if isinstance(reason, str) and reason in SEEN_BY_NO_SCHEMA:
        return
    try:
        click = json.loads(value)
    except (ValueError, RecursionError):  # more digits than Python reads
        return
    takes = jsonschema.Draft202012Validator(json.loads(schema_text("click"))).is_valid(click)
    if isinstance(reason, tuple):
        assert takes
    elif reason.startswith("too_long"):  # a schema counts characters
        assert not takes or all(len(v) <= 256 for n, v in click.items() if n.endswith("_id") and isinstance(v, str))
    elif not any(isinstance(v, float) for v in click.values()):  # to a schema, 1.0 and 1e3 are integers
        assert not takes, reason


def test_click_schema_counts_characters_of_an_id_where_the_table_counts_bytes() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
    validator = jsonschema.Draft202012Validator(json.loads(schema_text("click")))
    assert validator.is_valid(json.loads(near("item_id", '"%s"' % ("ü" * 129))))
    assert not validator.is_valid(json.loads(near("item_id", '"%s"' % ("ü" * 257))))
