"""What a record's own timestamp tells: a time in milliseconds, or nothing.

It is a hint, not a law. A producer's client sets it, or the broker (LogAppendTime), and what stands there may be
milliseconds, seconds (`timestamp=int(time.time())`), 0, -1 (none) or -62135596800000 (Go's zero time).
"""

__all__ = ["FIRST_PLAUSIBLE_MS", "LAST_PLAUSIBLE_MS", "sane_record_time_ms"]

FIRST_PLAUSIBLE_MS = 978_307_200_000  # 2001-01-01, ten years before Kafka; seconds, read as milliseconds, stay below
LAST_PLAUSIBLE_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z; nanoseconds lie above


def sane_record_time_ms(timestamp: int | None) -> int | None:
    """The record's time in milliseconds since the epoch; None where it is unusable: absent, or no milliseconds."""
    if timestamp is None or not FIRST_PLAUSIBLE_MS <= timestamp <= LAST_PLAUSIBLE_MS:
        return None
    return timestamp
