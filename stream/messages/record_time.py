"""What a record's own timestamp is worth. It is a hint, not a law: producers and brokers put anything there."""

__all__ = ["sane_record_time_ms"]

_FIRST_MS, _LAST_MS = 100_000_000_000, 100_000_000_000_000  # 1973 and the year 5138


def sane_record_time_ms(timestamp: int | None) -> int | None:
    """A record's timestamp where it can be a time in milliseconds since the epoch; None where it cannot.

    None: no timestamp (-1, 0), seconds (whose values, until the year 5138, are below all of ours), micro- and
    nanoseconds (which are above), and what a clock that was never set writes (-62135596800000).
    """
    return timestamp if timestamp is not None and _FIRST_MS <= timestamp < _LAST_MS else None
