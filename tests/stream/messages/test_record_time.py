"""What a record's timestamp is worth."""

import pytest

from stream.messages.record_time import sane_record_time_ms

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize("sane", [NOW_MS, 1_000_000_000_000, 100_000_000_000])
def test_time_in_milliseconds_is_taken_as_it_is(sane: int) -> None:
    assert sane_record_time_ms(sane) == sane


@pytest.mark.parametrize("odd", [None, -1, 0, NOW_MS // 1000, NOW_MS * 1000, NOW_MS * 1_000_000, -62_135_596_800_000])
def test_what_cannot_be_milliseconds_is_no_time(odd: int | None) -> None:
    assert sane_record_time_ms(odd) is None
