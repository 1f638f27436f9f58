"""Times as they stand in a file -> milliseconds since the epoch.

Plain numbers are milliseconds unless `ts_unit` says seconds; text is a number or ISO 8601 (without a zone: UTC).
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.arrow import Column, decode, is_text, mask, pc
from model.errors import DataError

__all__ = [
    "MAX_TS",
    "clean_times",
    "decimals",
    "in_ms",
    "iso_times",
    "number_times",
    "one_iso",
    "text_times",
    "whole_numbers",
    "with_zone",
]

MAX_TS = 253_402_300_799_999  # the year 9999; above it, a file counts in microseconds or less and must say so
INTEGER = "^[+-]?[0-9]{1,18}$"
DECIMAL = r"^[+-]?[0-9]{1,15}\.[0-9]{1,9}$"
DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
FULL_ISO = rf"^{DATE}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,9}})?Z$"  # as Yoochoose writes it: the fast path
ZONE = "(Z|[+-][0-9]{2}:?[0-9]{2})$"
ISO = rf"^{DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"


def clean_times(column: Column, ts_unit: str) -> tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Return times (T,) in ms and, by reason (`missing_ts`, `bad_ts`, `negative_ts`), the lines that have none.

    DataError for a column of a type that can't be a time.
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
    return ts, {"missing_ts": missing, "bad_ts": unreadable | (ts > MAX_TS), "negative_ts": ts < 0}


def number_times(column: Column, ts_unit: str) -> Column:
    """Return integers, floats, timestamps or dates as int64 ms, null where there is none or it does not fit."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(f"the time column holds {kind}; a time is a number, a timestamp or ISO 8601 text")
    scale = 1000 if ts_unit == "s" else 1
    if pa.types.is_integer(kind) and scale == 1:
        return column.cast(pa.int64(), safe=False)
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) * scale  # exact below 2^53
    usable = np.isfinite(values) & (np.abs(values) < 2**53)
    return pa.array(np.round(np.where(usable, values, 0)).astype(np.int64), mask=~usable)


def text_times(text: Column, ts_unit: str) -> Column:
    """Return text as int64 ms, null where it is neither a number nor ISO 8601."""
    if pc.all(pc.match_substring_regex(text, INTEGER)).as_py():
        return whole_numbers(text, ts_unit)
    if pc.all(pc.match_substring_regex(text, FULL_ISO)).as_py():
        return iso_times(text, ts_unit)
    whole = mask(pc.match_substring_regex(text, INTEGER))
    decimal = mask(pc.match_substring_regex(text, DECIMAL))
    iso = mask(pc.match_substring_regex(text, ISO))
    result = np.zeros(len(text), np.int64)
    known = np.zeros(len(text), bool)
    for chosen, parse in ((whole, whole_numbers), (decimal, decimals), (iso, iso_times)):
        if chosen.any():
            found = parse(text.filter(pa.array(chosen)), ts_unit)
            known[chosen] = ~mask(found.is_null())
            result[chosen] = found.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(result, mask=~known)


def whole_numbers(text: Column, ts_unit: str) -> Column:
    """Return the integers that some text shows, as ms."""
    return number_times(pc.utf8_ltrim(text, characters="+").cast(pa.int64()), ts_unit)


def decimals(text: Column, ts_unit: str) -> Column:
    """Return the decimal numbers that some text shows, as ms."""
    return number_times(pc.utf8_ltrim(text, characters="+").cast(pa.float64()), ts_unit)


def iso_times(text: Column, ts_unit: str) -> Column:
    """Return ISO 8601 text as ms, null for the 30th of February and its like. `ts_unit` plays no part."""
    try:
        return in_ms(text)
    except pa.ArrowInvalid:
        full = with_zone(text)
    try:
        return in_ms(full)
    except pa.ArrowInvalid:
        return pa.array([one_iso(value) for value in full.to_pylist()], pa.int64())


def with_zone(text: Column) -> Column:
    """Return dates and times with the parts that may be left out: midnight, UTC."""
    timed = pc.match_substring_regex(text, f"^{DATE}[T ]")
    full = pc.if_else(timed, text, pc.binary_join_element_wise(text, "00:00", "T"))
    zoned = pc.match_substring_regex(full, ":[0-9].*" + ZONE)
    return pc.if_else(zoned, full, pc.binary_join_element_wise(full, "Z", ""))


def in_ms(text: Column) -> Column:
    """Return zoned ISO 8601 text as int64 ms; ArrowInvalid if one of them is no time."""
    return text.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())


def one_iso(value: str) -> int | None:
    """Return one zoned ISO 8601 text as ms, None if it is no time."""
    try:
        return int(in_ms(pa.array([value]))[0].as_py())
    except pa.ArrowInvalid:
        return None
