"""How far a partition is answered, among the rows of its changelog."""

import pytest

from stream.contract import MAX_ID_BYTES, decode_click
from stream.errors import BadClick, BadState
from stream.positions import POSITION_KEY, encode_position, split_positions
from tests.stream.records import FakeRecord, click


def test_split_positions_finds_the_last_one_and_leaves_the_rows() -> None:
    rows = [FakeRecord(1, b"a", b"row"), FakeRecord(3, b"b", None), FakeRecord(4, None, b"")]
    positions = [FakeRecord(0, POSITION_KEY, encode_position(70)), FakeRecord(2, POSITION_KEY, encode_position(90))]
    mixed = sorted([*rows, *positions], key=lambda record: record.offset)
    assert split_positions(mixed) == (rows, 90)
    assert split_positions(rows) == (rows, None)


def test_split_positions_of_one_deleted_by_hand_knows_none() -> None:
    records = [FakeRecord(0, POSITION_KEY, encode_position(70)), FakeRecord(1, POSITION_KEY, None)]
    assert split_positions(records) == ([], None)


@pytest.mark.parametrize("value", [b"", b"-1", b"12x", b"\xff"])
def test_split_positions_of_a_damaged_one_says_so(value: bytes) -> None:
    with pytest.raises(BadState):
        split_positions([FakeRecord(0, POSITION_KEY, value)])


def test_no_session_can_have_the_key_of_the_position() -> None:
    assert len(POSITION_KEY) <= MAX_ID_BYTES
    record = click(0, POSITION_KEY.decode(), "1")
    with pytest.raises(BadClick, match="control_characters_session_id"):
        decode_click(record.value, record.key, record.timestamp)
