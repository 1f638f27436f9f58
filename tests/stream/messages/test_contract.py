"""The contract of the messages: every rule of a click, its reason, and the fast path's agreement with the rules."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import AnnouncementError, BadClick
from stream.messages.click_rules import judge_click
from stream.messages.contract import (
    MAX_FUTURE_MS,
    MAX_VALUE_BYTES,
    RANKING_FAILED,
    REASONS,
    Click,
    ModelAnnouncement,
    Recommendation,
    Source,
    decode_announcement,
    decode_click,
    decode_recommendation,
    encode,
    recommended,
    rejection_headers,
)

NOW = 1_661_724_000_000
SOUND: dict[str, Any] = {"session_id": "s1", "item_id": "i1", "ts": NOW}


def click_bytes(**changes: Any) -> bytes:
    return json.dumps({**SOUND, **changes}).encode()


def reason_of(value: bytes | None, key: bytes | None = b"s1", record_ts_ms: int = NOW) -> str:
    with pytest.raises(BadClick) as caught:
        decode_click(value, key, record_ts_ms)
    assert caught.value.reason in REASONS
    assert "s1" not in caught.value.detail
    return caught.value.reason


def test_click_complete_gives_every_field() -> None:
    value = click_bytes(type="cart", user_id="u", context={"page": [1, {"a": None}]}, unknown={"x": [1]})
    assert decode_click(value, b"s1", NOW) == Click("s1", "i1", NOW, "cart", "u", {"page": [1, {"a": None}]})


def test_click_minimal_gets_the_defaults() -> None:
    assert decode_click(click_bytes(), b"s1", NOW) == Click("s1", "i1", NOW, "click", None, None)
    assert decode_click(click_bytes(user_id=None, context=None), b"s1", NOW) == Click("s1", "i1", NOW)


@pytest.mark.parametrize(("field", "value", "text"), [("item_id", 7, "7"), ("item_id", -(2**63), str(-(2**63)))])
def test_click_integer_item_becomes_a_string(field: str, value: int, text: str) -> None:
    assert getattr(decode_click(click_bytes(**{field: value}), b"s1", NOW), field) == text


def test_click_integer_session_matches_its_decimal_key() -> None:
    assert decode_click(click_bytes(session_id=12, user_id=2**63 - 1), b"12", NOW).session_id == "12"
    assert reason_of(click_bytes(session_id=12), b"012") == "key_mismatch"


@pytest.mark.parametrize("plural", ["clicks", "carts", "orders"])
def test_click_otto_plural_becomes_the_singular(plural: str) -> None:
    assert decode_click(click_bytes(type=plural), b"s1", NOW).type == plural[:-1]


@pytest.mark.parametrize("field", ["session_id", "item_id", "ts"])
def test_click_required_field_missing_is_rejected(field: str) -> None:
    value = json.dumps({name: SOUND[name] for name in SOUND if name != field}).encode()
    assert reason_of(value) == f"missing_{field}"


ID_FAULTS = [
    (True, "wrong_type"),
    (1.0, "wrong_type"),
    ([], "wrong_type"),
    ({}, "wrong_type"),
    (2**63, "out_of_range"),
    (-(2**63) - 1, "out_of_range"),
    (10**5000, "out_of_range"),
    ("", "empty"),
    ("x" * 257, "too_long"),
    ("ü" * 129, "too_long"),
    ("a\nb", "control_characters"),
    ("\x00", "control_characters"),
    ("a\x7f", "control_characters"),
    ("a\x85", "control_characters"),
]


@pytest.mark.parametrize("field", ["session_id", "item_id", "user_id"])
@pytest.mark.parametrize(("value", "rule"), ID_FAULTS, ids=[f"{rule}-{n}" for n, (_, rule) in enumerate(ID_FAULTS)])
def test_click_bad_id_is_rejected(field: str, value: Any, rule: str) -> None:
    text = "1" + "0" * 5000 if value == 10**5000 else json.dumps(value)
    other = {name: SOUND[name] for name in SOUND if name != field}
    assert reason_of(f'{{"{field}": {text}, {json.dumps(other)[1:]}'.encode()) == f"{rule}_{field}"


@pytest.mark.parametrize("field", ["session_id", "item_id", "ts", "type"])
def test_click_null_is_a_wrong_type(field: str) -> None:
    assert reason_of(click_bytes(**{field: None})) == f"wrong_type_{field}"


@pytest.mark.parametrize("field", ["session_id", "item_id", "ts", "type", "user_id", "context"])
def test_click_field_of_a_megabyte_is_too_large(field: str) -> None:
    assert reason_of(click_bytes(**{field: "x" * 1_000_000})) == "too_large"


@pytest.mark.parametrize("field", ["session_id", "item_id", "ts", "type", "user_id", "context"])
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "01", "'x'", "{", '"\\ud800"', ""])
def test_click_field_that_is_no_json_is_rejected(field: str, literal: str) -> None:
    other = {name: SOUND[name] for name in SOUND if name != field}
    assert reason_of(f'{{"{field}": {literal}, {json.dumps(other)[1:]}'.encode()) == "not_json"


@pytest.mark.parametrize(
    ("ts", "reason"),
    [
        ("1661724000278", "wrong_type_ts"),
        (1.5, "wrong_type_ts"),
        (True, "wrong_type_ts"),
        ([], "wrong_type_ts"),
        ("", "wrong_type_ts"),
        (-1, "ts_negative"),
        (-(10**30), "ts_negative"),
        (NOW + MAX_FUTURE_MS + 1, "ts_future"),
        (NOW * 1000, "ts_future"),
        (10**30, "ts_future"),
    ],
)
def test_click_bad_ts_is_rejected(ts: Any, reason: str) -> None:
    assert reason_of(click_bytes(ts=ts)) == reason


@pytest.mark.parametrize(("sign", "reason"), [("", "ts_future"), ("-", "ts_negative")])
def test_click_ts_of_thousands_of_digits_is_rejected(sign: str, reason: str) -> None:
    assert reason_of(f'{{"session_id":"s1","item_id":"i","ts":{sign}{"9" * 5000}}}'.encode()) == reason


def test_click_ts_at_its_limits_is_accepted() -> None:
    for ts in (0, NOW + MAX_FUTURE_MS):
        assert decode_click(click_bytes(ts=ts), b"s1", NOW).ts == ts


def test_click_without_record_timestamp_is_bounded_by_the_year_only() -> None:
    assert decode_click(click_bytes(ts=NOW * 100), b"s1", -1).ts == NOW * 100
    assert reason_of(click_bytes(ts=NOW * 1000), record_ts_ms=-1) == "ts_future"
    assert reason_of(click_bytes(ts=NOW * 1000), record_ts_ms=2**62) == "ts_future"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("", "unknown_type"), ("Click", "unknown_type"), ("view", "unknown_type"), (1, "wrong_type_type")],
)
def test_click_bad_type_is_rejected(kind: Any, reason: str) -> None:
    assert reason_of(click_bytes(type=kind)) == reason


@pytest.mark.parametrize("context", ["x", 1, [], True, 1.5])
def test_click_context_that_is_no_object_is_rejected(context: Any) -> None:
    assert reason_of(click_bytes(context=context)) == "wrong_type_context"


@pytest.mark.parametrize("field", ["context", "unknown"])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_click_nested_without_end_is_rejected_not_a_crash(field: str, opening: str) -> None:
    assert reason_of(f'{{"{field}": {opening * 10_000}'.encode()) == "too_deep"


@pytest.mark.parametrize("value", [b"[]", b"1", b'"x"', b"null", b"true", b"1" * 5000])
def test_click_json_that_is_no_object_is_rejected(value: bytes) -> None:
    assert reason_of(value) == "not_object"


@pytest.mark.parametrize("value", [b"", b"{", b"hello", b"\xef\xbb\xbf{}", b'{"a":1}{'])
def test_click_that_is_no_json_is_rejected(value: bytes) -> None:
    assert reason_of(value) == "not_json"


def test_click_in_a_registrys_format_is_told_from_broken_json() -> None:
    assert reason_of(b"\x00\x00\x00\x00\x05\xff") == "undecodable"


@pytest.mark.parametrize("place", ["session_id", "unknown"])
def test_click_that_is_not_utf8_is_rejected_wherever_it_is_not(place: str) -> None:
    assert reason_of(click_bytes(**{place: "@"}).replace(b"@", b"\xff")) == "not_utf8"


def test_click_without_value_is_rejected() -> None:
    assert reason_of(None) == "value_missing"


def test_click_size_is_judged_before_content() -> None:
    padding = b" " * (MAX_VALUE_BYTES - len(click_bytes()))
    assert decode_click(click_bytes() + padding, b"s1", NOW).item_id == "i1"
    assert reason_of(b"\xff" * (MAX_VALUE_BYTES + 1)) == "too_large"


@pytest.mark.parametrize(("key", "reason"), [(None, "key_missing"), (b"", "key_missing"), (b"s2", "key_mismatch")])
def test_click_key_unlike_the_session_is_rejected(key: bytes | None, reason: str) -> None:
    assert reason_of(click_bytes(), key) == reason


def test_click_field_given_twice_counts_by_its_last_value() -> None:
    value = b'{"session_id":"x","item_id":"i1","ts":-1,"ts":5,"session_id":"s1"}'
    assert decode_click(value, b"s1", NOW) == Click("s1", "i1", 5)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["s1", "clicks"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
near_clicks = st.fixed_dictionaries(
    {},
    optional={
        "session_id": st.just("s1") | json_values,
        "item_id": st.just("i1") | json_values,
        "ts": st.integers(NOW - 10, NOW + MAX_FUTURE_MS + 10) | json_values,
        "type": st.sampled_from(["click", "carts", "skip", "other"]) | json_values,
        "user_id": json_values,
        "context": json_values,
        "more": json_values,
    },
)
keys = st.none() | st.just(b"s1") | st.binary(max_size=4)


def outcome(decode: Any, value: bytes, key: bytes | None) -> tuple[Any, ...]:
    try:
        found = decode(value, key, NOW)
    except BadClick as error:
        return ("rejected", error.reason, error.reason in REASONS - {RANKING_FAILED})
    return tuple(getattr(found, name) for name in ("session_id", "item_id", "ts", "type", "user_id", "context"))


def assert_judged_alike(value: bytes, key: bytes | None) -> None:
    found = outcome(decode_click, value, key)
    assert found == outcome(judge_click, value, key)
    assert found[0] != "rejected" or found[2], f"{found[1]} is not among the reasons"


@given(near_clicks, keys, st.booleans())
def test_click_fast_path_agrees_with_the_rules(click: dict[str, Any], key: bytes | None, ascii_only: bool) -> None:
    value = json.dumps(click, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert_judged_alike(value, key)


@given(st.binary(max_size=200), keys)
def test_click_any_bytes_are_a_click_or_rejected(value: bytes, key: bytes | None) -> None:
    assert_judged_alike(value, key)


@given(st.integers(0, 120), st.integers(0, 255))
def test_click_with_one_byte_changed_is_a_click_or_rejected(position: int, byte: int) -> None:
    value = bytearray(click_bytes(type="like", user_id="u1", context={"a": [1.5, "x"]}))
    value[position % len(value)] = byte
    assert_judged_alike(bytes(value), b"s1")


def test_recommendation_encoded_is_read_back() -> None:
    source = Source("clicks", 3, 42)
    sent = Recommendation("s1", recommended([("a", 0.5), ("b", -1.0)]), "7", "default", False, source, NOW, NOW + 8)
    assert decode_recommendation(encode(sent)) == sent
    with pytest.raises(msgspec.MsgspecError):
        decode_recommendation(b"{}")


def test_announcement_encoded_is_read_back() -> None:
    sent = ModelAnnouncement("7", "file:///r/7", "ab" * 32, "b", NOW)
    assert decode_announcement(encode(sent)) == sent


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[]", b"[" * 9999, b'{"version":1}'])
def test_announcement_unreadable_raises_announcement_error(value: bytes) -> None:
    with pytest.raises(AnnouncementError):
        decode_announcement(value)


def test_announcement_of_an_earlier_release_with_a_share_is_read() -> None:
    value = b'{"version":"7","uri":"u","sha256":"s","variant":"default","share":1.0,"announced_ts":5}'
    assert decode_announcement(value) == ModelAnnouncement("7", "u", "s", "default", 5)


def test_rejection_headers_name_where_and_why() -> None:
    headers = dict(rejection_headers(BadClick("ts_future", "größer"), "clicks", 2, 99))
    expected = {"reason": "ts_future", "detail": "größer", "topic": "clicks", "partition": "2", "offset": "99"}
    assert headers == {name: text.encode() for name, text in expected.items()}


@pytest.mark.parametrize("number", [19_608_239_481_507_264_021, 2**64 + 1, 2**65 - 1, -(2**64) - 1])
def test_integers_of_65_bits_are_never_taken_for_other_numbers(number: int) -> None:
    assert msgspec.json.decode(str(number)) == number
    with pytest.raises(BadClick, match="out_of_range_item_id"):
        decode_click(b'{"session_id":"s","item_id":%d,"ts":%d}' % (number, NOW), b"s", NOW)
