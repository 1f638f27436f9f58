"""How far a partition is answered, among the rows of its changelog."""

import pytest

from stream.errors import BadClick, BadState
from stream.messages.contract import MAX_ID_BYTES, decode_click
from stream.partition.positions import OWNER_KEY, POSITION_KEY, encode_position, is_reserved, split_positions
from tests.stream.records import FakeRecord, click


def test_split_positions_finds_the_last_one_and_leaves_the_rows() -> None:
    rows = [FakeRecord(1, b"a", b"row"), FakeRecord(3, b"b", None), FakeRecord(4, None, b"")]
    positions = [FakeRecord(0, POSITION_KEY, encode_position(70)), FakeRecord(2, POSITION_KEY, encode_position(90))]
    owner = FakeRecord(5, OWNER_KEY, b"1700000000000")
    mixed = sorted([*rows, *positions, owner], key=lambda record: record.offset)
    assert split_positions(mixed) == (rows, 90)
    assert split_positions(rows) == (rows, None)


def test_split_positions_of_a_deleted_one_is_zero() -> None:
    records = [FakeRecord(0, POSITION_KEY, encode_position(70)), FakeRecord(1, POSITION_KEY, None)]
    assert split_positions(records) == ([], 0)


@pytest.mark.parametrize("value", [b"", b"-1", b"12x", b"\xff"])
def test_split_positions_of_a_damaged_one_says_so(value: bytes) -> None:
    with pytest.raises(BadState):
        split_positions([FakeRecord(0, POSITION_KEY, value)])


@pytest.mark.parametrize("key", [POSITION_KEY, OWNER_KEY])
def test_no_session_can_have_a_reserved_key(key: bytes) -> None:
    assert is_reserved(key)
    assert not is_reserved(b"session")
    assert not is_reserved(None)
    assert len(key) <= MAX_ID_BYTES
    record = click(0, key.decode(), "1")
    with pytest.raises(BadClick, match="control_characters_session_id"):
        decode_click(record.value, record.key, record.timestamp)
