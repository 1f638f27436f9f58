"""Columns of ids of any type -> int64 or text, by the law of `export/ids.py`.

A column whose ids are all plain integers is kept as int64, any other as text; `007` is text, since it would not survive
as a number.
"""

import uuid

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from export.ids import BROKEN, FRACTION, MAX_ID_BYTES, NOTHING_WORDS
from model.data.readers.columns.arrow import Column, decode, is_bytes, is_text, mask, pc
from model.errors import DataError

__all__ = ["as_integers", "clean_ids", "decimals", "integers", "text_ids", "uuids", "whole_numbers"]

PLAIN_INTEGER = "^(0|-?[1-9][0-9]{0,17})$"  # survives the way to int64 and back
NOTHING = pa.array(sorted(NOTHING_WORDS))
UUID_BYTES = 16


def clean_ids(column: Column, name: str) -> tuple[Column, dict[str, NDArray[np.bool_]]]:
    """Return ids as int64 or text, and by reason (`missing_NAME`, `bad_NAME`) the lines that have none.

    DataError for a column of a type that can't be an id.
    """
    if isinstance(column, pa.ExtensionArray):  # pa.uuid()
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    wrong = np.zeros(len(column), bool)
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        ids = integers(column)
    elif pa.types.is_floating(kind):
        ids, wrong = whole_numbers(column)
    elif pa.types.is_decimal(kind):
        ids, wrong = decimals(column)
    elif is_text(kind):
        ids, wrong = text_ids(uuids(column))
    else:
        raise DataError(f"the {name} column holds {kind}; an id is an integer, text or a UUID")
    missing = mask(ids.is_null())
    if is_text(ids.type):
        missing |= mask(pc.equal(ids, ""))
    return ids, {f"bad_{name}": wrong, f"missing_{name}": missing & ~wrong}


def integers(column: Column) -> Column:
    """Return integers of any width as int64, or as text where one does not fit."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.string())


def whole_numbers(column: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Return floats as int64 (pandas turns integers into floats where one is missing); fractions are wrong."""
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)  # NaN where missing
    missing = np.isnan(values)
    usable = np.isfinite(values) & (values == np.trunc(values)) & (np.abs(values) <= 2**53)
    return pa.array(np.where(usable, values, 0).astype(np.int64), mask=missing), ~usable & ~missing


def decimals(column: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Return decimals (Snowflake's and Spark's NUMBER(38, 0)) as int64, or text; fractions are wrong."""
    text = column.cast(pa.string())
    if column.type.scale > 0:
        text = pc.replace_substring_regex(text, FRACTION, r"\1")
    elif column.type.scale < 0:  # 12E+1
        text = pa.array([None if value is None else str(int(value)) for value in column.to_pylist()], pa.string())
    wrong = ~mask(pc.match_substring_regex(text, "^-?[0-9]+$")) & ~mask(text.is_null())
    return as_integers(text) if not wrong.any() else text, wrong


def uuids(column: Column) -> Column:
    """Return a column of 16 bytes each that are no text as UUIDs in their usual form, any other as it is."""
    kind = column.type
    if not is_bytes(kind) or (pa.types.is_fixed_size_binary(kind) and kind.byte_width != UUID_BYTES):
        return column
    _, broken = decode(column)
    if not broken.any() or not pc.all(pc.equal(pc.binary_length(column), UUID_BYTES)).as_py():
        return column
    return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in column.to_pylist()])


def text_ids(column: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Return the ids that text means, "" where it is a word for nothing, and the lines that break the law of ids."""
    text, wrong = decode(column)
    if not text.null_count and pc.all(pc.match_substring_regex(text, PLAIN_INTEGER)).as_py():
        return text.cast(pa.int64()), wrong  # as most columns are; at once
    wrong = wrong | mask(pc.greater(pc.binary_length(text), MAX_ID_BYTES))
    wrong |= mask(pc.match_substring_regex(text, BROKEN))
    text = pc.utf8_trim(text, characters=" ")
    nothing = pc.is_in(pc.utf8_lower(text), value_set=NOTHING)
    text = pc.if_else(nothing, "", text)
    if pc.any(pc.ends_with(text, "0")).as_py() and pc.any(fraction := pc.match_substring_regex(text, FRACTION)).as_py():
        whole = pc.replace_substring_regex(text, FRACTION, r"\1")
        text = pc.if_else(fraction, pc.if_else(pc.equal(whole, "-0"), "0", whole), text)
    return text, wrong & ~mask(nothing)


def as_integers(ids: Column) -> Column:
    """Return text as int64 if all of it is plain integers, else as it is."""
    if not is_text(ids.type) or not len(ids):
        return ids
    plain = pc.all(pc.match_substring_regex(ids, PLAIN_INTEGER)).as_py()
    return ids.cast(pa.int64()) if plain else ids
