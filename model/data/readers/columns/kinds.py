"""Kinds of event as a file writes them -> those of the click contract."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from export.events import KINDS, NEGATIVES
from model.data.readers.columns.arrow import Column, is_text

__all__ = ["ALIASES", "KINDS", "LEFT_OUT", "OTTO_NUMBERS", "POSITIVES", "kind_codes", "kind_of", "written"]

POSITIVES = frozenset(KINDS) - NEGATIVES  # what a shopper wanted
LEFT_OUT = 255  # the code of a kind that is not kept
ALIASES = {
    **{kind: kind for kind in KINDS},
    **{f"{kind}s": kind for kind in KINDS},  # OTTO: clicks, carts, orders
    "view": "click",  # RetailRocket: view, addtocart, transaction
    "addtocart": "cart",
    "add_to_cart": "cart",
    "transaction": "order",
    "purchase": "order",  # REES46: view, cart, purchase; its remove_from_cart is left out
    "hate": "dislike",  # KuaiRand
}
OTTO_NUMBERS = {"0": "click", "1": "cart", "2": "order"}  # of OTTO's copies in Parquet


def kind_codes(
    column: Column | str,
    good: NDArray[np.bool_],
    kept: frozenset[str],
    left_out: Counter[str],
    aliases: Mapping[str, str] = ALIASES,
) -> NDArray[np.uint8]:
    """Return the place in KINDS of each line, LEFT_OUT where it is not kept; no kind means a click."""
    if isinstance(column, str):
        column = pa.DictionaryArray.from_arrays(np.zeros(len(good), np.int32), [column])
    elif not pa.types.is_dictionary(column.type):
        column = (column if is_text(column.type) else column.cast(pa.string())).dictionary_encode()
    names = [kind_of(value, aliases) for value in (*column.dictionary.to_pylist(), None)]  # the last is for the nulls
    codes = np.array([KINDS.index(name) if name in kept else LEFT_OUT for name in names], np.uint8)
    places = column.indices.cast(pa.int64()).fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    for place, number in enumerate(np.bincount(places[good], minlength=len(names)).tolist()):
        if number and codes[place] == LEFT_OUT:
            left_out[names[place]] += number
    found: NDArray[np.uint8] = codes[places]
    return found


def kind_of(value: object, aliases: Mapping[str, str] = ALIASES) -> str:
    """Return the contract's name of a kind as a file writes it; an unknown one comes back as it is, none is a click."""
    name = written(value)
    return aliases.get(name, name) if name else "click"


def written(value: object) -> str:
    """Return a kind as files and options are compared: small letters, no space around; "" for none."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return text.strip().lower().removesuffix(".0")
