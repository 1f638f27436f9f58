"""Which timestamps of records are times."""

import pytest

from stream.messages.record_time import sane_record_time_ms


@pytest.mark.parametrize("timestamp", [978_307_200_000, 1_700_000_000_000, 4_102_444_800_000, 253_402_300_799_999])
def test_record_time_milliseconds_are_kept(timestamp: int) -> None:
    assert sane_record_time_ms(timestamp) == timestamp


@pytest.mark.parametrize(
    "timestamp",
    [None, 0, -1, -62_135_596_800_000, 1_700_000_000, 4_294_967_296, 253_402_300_800_000, 1_700_000_000_000_000_000],
)
def test_record_time_anything_else_is_none(timestamp: int | None) -> None:
    assert sane_record_time_ms(timestamp) is None
