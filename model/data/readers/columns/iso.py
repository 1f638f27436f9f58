"""Times in words: ISO 8601 as programs and databases write it -> milliseconds since the epoch.

Without a zone it is UTC. `2019-10-01 00:00:00 UTC` (BigQuery), `+00` (Postgres), `+0000`, `2019/10/01`, a comma before
the fraction and a date alone are understood as well.
"""

import pyarrow as pa

from model.data.readers.columns.arrow import Column, pc

__all__ = ["ISO", "in_ms", "iso_times", "one_iso", "spelled_out", "with_zone"]

DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
FULL_ISO = rf"^{DATE}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,9}})?Z$"  # as Yoochoose writes it: the fast path
ISO = rf"^{DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?$"
SPELLINGS = (  # how others write it -> how ISO does
    ("^([0-9]{4})/([0-9]{2})/([0-9]{2})", r"\1-\2-\3"),
    ("(:[0-9]{2}),([0-9]{1,9})", r"\1.\2"),
    (" ?([+-][0-9]{2}:?[0-9]{2}) (?:UTC|GMT)$", r"\1"),  # Go's
    (" ?(?:UTC|GMT|utc|gmt|z|Z)$", "Z"),
    ("(:[0-9.]+) ([+-][0-9]{2}(?::?[0-9]{2})?)$", r"\1\2"),
)


def spelled_out(text: Column) -> Column:
    """Return times in ISO's own spelling, what is no time as it is."""
    if pc.all(pc.match_substring_regex(text, FULL_ISO)).as_py():
        return text
    for pattern, iso in SPELLINGS:
        text = pc.replace_substring_regex(text, pattern, iso)
    return text


def iso_times(text: Column) -> Column:
    """Return ISO 8601 text as ms, null for the 30th of February and its like."""
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
