"""Times as they stand in a file -> milliseconds since the epoch.

Plain numbers count what `ts_unit` says, milliseconds unless told otherwise; text is a number or ISO 8601
(`columns/iso.py`).
"""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column, decode, is_text, mask, pc
from model.data.readers.columns.iso import ISO, iso_times, spelled_out
from model.errors import DataError

__all__ = [
    "MAX_TS",
    "TIME_UNITS",
    "TimeUnit",
    "clean_times",
    "decimal_numbers",
    "doubts",
    "likely_unit",
    "number_times",
    "text_times",
    "whole_numbers",
]

TimeUnit = Literal["ms", "s", "us", "ns"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)
MAX_TS = 253_402_300_799_999  # the year 9999; above it, a file counts in microseconds or less and must say so
IN_MS: dict[TimeUnit, float] = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
PARTS = {"us": 1_000, "ns": 1_000_000}  # of a millisecond
SHOPS_MS = 788_918_400_000, 3_000_000_000_000  # 1995 to 2065: when there are web shops
EARLY_MS = 31_536_000_000  # 1971
DAY_MS = 86_400_000
INTEGER = "^[+-]?([0-9]{1,18}|[0-8][0-9]{18})$"
DECIMAL = r"^[+-]?[0-9]{1,19}\.[0-9]{1,9}$"

Times = tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]], Counter[str]]


def clean_times(column: Column, ts_unit: TimeUnit) -> Times:
    """Return times (T,) in ms; by reason (`missing_ts`, `bad_ts`, `negative_ts`) the lines that have none; and hints.

    A hint says what would have made bad lines good, with their number. DataError for a column of a type that can't be
    a time.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    missing = mask(column.is_null())
    if is_text(column.type):
        text, _ = decode(column)
        text = pc.utf8_trim(text, characters=" ")
        missing |= mask(pc.equal(text, ""))
        found = text_times(text, ts_unit)
    else:
        found = number_times(column, ts_unit)
    unreadable = mask(found.is_null()) & ~missing
    ts: NDArray[np.int64] = found.fill_null(0).to_numpy(zero_copy_only=False)
    beyond = ts > MAX_TS
    hints = Counter[str]()
    if beyond.any() and (unit := likely_unit(ts[beyond], ts_unit)):
        hints[_hint(unit)] = int(np.count_nonzero(beyond))
    return ts, {"missing_ts": missing, "bad_ts": unreadable | beyond, "negative_ts": ts < 0}, hints


def number_times(column: Column, ts_unit: TimeUnit) -> Column:
    """Return integers, floats, decimals, timestamps or dates as int64 ms, null where there is none or it won't fit."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
    if pa.types.is_decimal(kind):
        column = column.cast(pa.int64() if kind.scale == 0 else pa.float64(), safe=False)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(f"the time column holds {kind}; a time is a number, a timestamp or ISO 8601 text")
    if pa.types.is_integer(column.type) and ts_unit != "s":
        whole = column.cast(pa.int64(), safe=False)
        if ts_unit == "ms":
            return whole
        parts = whole.fill_null(0).to_numpy(zero_copy_only=False) // PARTS[ts_unit]
        return pa.array(parts, mask=mask(whole.is_null()))
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) * IN_MS[ts_unit]  # exact below 2^53
    usable = np.isfinite(values) & (np.abs(values) < 2**62)
    return pa.array(np.round(np.where(usable, values, 0)).astype(np.int64), mask=~usable)


def text_times(text: Column, ts_unit: TimeUnit) -> Column:
    """Return text as int64 ms, null where it is neither a number nor ISO 8601."""
    if pc.all(pc.match_substring_regex(text, INTEGER)).as_py():
        return whole_numbers(text, ts_unit)
    text = spelled_out(text)
    iso = mask(pc.match_substring_regex(text, ISO))
    if iso.all():
        return iso_times(text)
    result = np.zeros(len(text), np.int64)
    known = np.zeros(len(text), bool)
    parsers: tuple[tuple[NDArray[np.bool_], Callable[[Column], Column]], ...] = (
        (mask(pc.match_substring_regex(text, INTEGER)), lambda part: whole_numbers(part, ts_unit)),
        (mask(pc.match_substring_regex(text, DECIMAL)), lambda part: decimal_numbers(part, ts_unit)),
        (iso, iso_times),
    )
    for chosen, parse in parsers:
        if chosen.any():
            found = parse(text.filter(pa.array(chosen)))
            known[chosen] = ~mask(found.is_null())
            result[chosen] = found.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(result, mask=~known)


def whole_numbers(text: Column, ts_unit: TimeUnit) -> Column:
    """Return the integers that some text shows, as ms."""
    return number_times(pc.utf8_ltrim(text, characters="+").cast(pa.int64()), ts_unit)


def decimal_numbers(text: Column, ts_unit: TimeUnit) -> Column:
    """Return the decimal numbers that some text shows, as ms."""
    return number_times(pc.utf8_ltrim(text, characters="+").cast(pa.float64()), ts_unit)


def likely_unit(ts: NDArray[np.int64], ts_unit: TimeUnit) -> TimeUnit | None:
    """Return the unit by which all of some times, read in `ts_unit`, are of the years of web shops, if one is."""
    for unit in TIME_UNITS:
        factor = IN_MS[unit] / IN_MS[ts_unit]
        if unit != ts_unit and SHOPS_MS[0] <= ts.min() * factor and ts.max() * factor < SHOPS_MS[1]:
            return unit
    return None


def doubts(ts: NDArray[np.int64], ts_unit: TimeUnit) -> list[str]:
    """Return what is odd about the times (T,) in ms of a log, T > 0, for people."""
    early = int(np.count_nonzero(ts < EARLY_MS))
    if early == len(ts):
        unit = likely_unit(ts, ts_unit)
        known = f"{_hint(unit)}?" if unit else "is that the right column (--time-column), and its unit (--time-unit)?"
        return [f"all times are before 1971: {known}"]
    found = [f"{early:,} of {len(ts):,} times are before 1971"] if early else []
    late = int(np.count_nonzero(ts > time.time_ns() // 1_000_000 + DAY_MS))
    if late:
        last = datetime.fromtimestamp(int(ts.max()) / 1000, UTC)
        found.append(f"{late:,} of {len(ts):,} times are in the future, up to {last:%Y-%m-%d}")
    return found


def _hint(unit: TimeUnit) -> str:
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    return f"are they {names[unit]} (--time-unit {unit})"
