"""Columns as they stand in a file -> ids, times and kinds that can be used, with a reason for every line that can't.

Ids are judged by the law of `export/ids.py`, column by column. A column whose ids are all plain integers is kept as
int64, any other as text; `007` is text, since it would not survive as a number.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from export.ids import BROKEN, FRACTION, MAX_ID_BYTES, NOTHING_WORDS
from model.data.readers.arrow import Column, decode, is_text, mask, pc
from model.data.readers.times import clean_times
from model.errors import DataError

__all__ = [
    "KINDS",
    "POSITIVES",
    "Cleaned",
    "Rows",
    "as_integers",
    "clean",
    "clean_ids",
    "integers",
    "kind_codes",
    "kind_of",
    "text_ids",
    "whole_numbers",
]

KINDS = ("click", "cart", "order", "like", "skip", "dislike")  # of the click contract, in its order
POSITIVES = frozenset({"click", "cart", "order", "like"})  # what a shopper wanted
LEFT_OUT = 255  # the code of a kind that is not kept
PLAIN_INTEGER = "^(0|-?[1-9][0-9]{0,17})$"  # survives the way to int64 and back
NOTHING = pa.array(sorted(NOTHING_WORDS))
ALIASES = {
    **{kind: kind for kind in KINDS},
    **{f"{kind}s": kind for kind in KINDS},  # OTTO: clicks, carts, orders
    "view": "click",  # RetailRocket: view, addtocart, transaction
    "addtocart": "cart",
    "transaction": "order",
    "hate": "dislike",  # KuaiRand
}


class Rows(NamedTuple):
    """Some lines of a file, column by column."""

    session: Column
    item: Column
    ts: Column
    kind: Column | str  # text, or one kind for all


class Cleaned(NamedTuple):
    """The usable ones of some lines."""

    sessions: Column  # int64 or string
    items: Column  # int64 or string
    ts: NDArray[np.int64]  # ms
    kinds: NDArray[np.uint8]  # place in KINDS


def clean(rows: Rows, *, kinds: frozenset[str], ts_unit: str, bad: Counter[str], left_out: Counter[str]) -> Cleaned:
    """Return the lines that can be used and are of the `kinds` kept; the others are counted in `bad` and `left_out`."""
    session, session_faults = clean_ids(rows.session, "session")
    item, item_faults = clean_ids(rows.item, "item")
    ts, ts_faults = clean_times(rows.ts, ts_unit)
    good = np.ones(len(ts), bool)
    for reason, wrong in (*session_faults.items(), *item_faults.items(), *ts_faults.items()):
        count = int(np.count_nonzero(wrong & good))
        if count:
            bad[reason] += count
            good &= ~wrong
    codes = kind_codes(rows.kind, good, kinds, left_out)
    keep = good & (codes != LEFT_OUT)
    if not keep.all():
        session, item, ts, codes = session.filter(pa.array(keep)), item.filter(pa.array(keep)), ts[keep], codes[keep]
    return Cleaned(as_integers(session), as_integers(item), ts, codes)


def clean_ids(column: Column, name: str) -> tuple[Column, dict[str, NDArray[np.bool_]]]:
    """Return ids as int64 or text, and by reason (`missing_NAME`, `bad_NAME`) the lines that have none.

    DataError for a column of a type that can't be an id.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    wrong = np.zeros(len(column), bool)
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        ids = integers(column)
    elif pa.types.is_floating(kind):
        ids, wrong = whole_numbers(column)
    elif is_text(kind):
        ids, wrong = text_ids(column)
    else:
        raise DataError(f"the {name} column holds {kind}; an id is an integer or text")
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


def text_ids(column: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Return the ids that text means, "" where it is a word for nothing, and the lines that break the law of ids."""
    text, wrong = decode(column)
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


def kind_codes(
    column: Column | str, good: NDArray[np.bool_], kept: frozenset[str], left_out: Counter[str]
) -> NDArray[np.uint8]:
    """Return the place in KINDS of each line, LEFT_OUT where it is not kept; no kind means a click."""
    if isinstance(column, str):
        column = pa.DictionaryArray.from_arrays(np.zeros(len(good), np.int32), [column])
    elif not pa.types.is_dictionary(column.type):
        column = (column if is_text(column.type) else column.cast(pa.string())).dictionary_encode()
    names = [kind_of(value) for value in (*column.dictionary.to_pylist(), None)]  # the last is for the nulls
    codes = np.array([KINDS.index(name) if name in kept else LEFT_OUT for name in names], np.uint8)
    places = column.indices.cast(pa.int64()).fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    for place, number in enumerate(np.bincount(places[good], minlength=len(names)).tolist()):
        if number and codes[place] == LEFT_OUT:
            left_out[names[place]] += number
    found: NDArray[np.uint8] = codes[places]
    return found


def kind_of(value: str | bytes | None) -> str:
    """Return the contract's name of a kind as a file writes it; an unknown one comes back as it is, none is a click."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
    name = text.strip().lower()
    return ALIASES.get(name, name) if name else "click"
