"""Kinds of event, as trainer and worker number them: what a log's `kinds`, a graph's input of that name, and a ranker's
rows hold.

A kind's code is its place in KINDS + 1; 0 is padding.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLICK", "KINDS", "LETTERS", "NEGATIVES", "TYPES", "code_of", "codes_of", "is_wanted"]

KINDS = ("click", "cart", "order", "like", "skip", "dislike")  # of the click contract, in its order
LETTERS = "caolsd"  # of each, as a session in a worker's state has them
NEGATIVES = frozenset({"skip", "dislike"})  # what a shopper did not want; never a target
CLICK = 1  # the code of a click
TYPES = len(KINDS) + 1  # codes, padding among them

_CODES = {kind: place + 1 for place, kind in enumerate(KINDS)}
_OF_LETTER = np.zeros(256, np.int32)
_OF_LETTER[[ord(letter) for letter in LETTERS]] = np.arange(1, TYPES)
_WANTED = np.array([False, *(kind not in NEGATIVES for kind in KINDS)])


def code_of(kind: str) -> int:
    """Return the code of a kind; KeyError for a word that is none."""
    return _CODES[kind]


def codes_of(letters: str) -> NDArray[np.int32]:
    """Return the codes of kinds that are written as letters; a letter that is none has the code 0."""
    return _OF_LETTER[np.frombuffer(letters.encode("latin-1", "replace"), np.uint8)]


def is_wanted(codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of some codes (...) stand for interest: neither padding, nor a skip or a dislike."""
    found: NDArray[np.bool_] = _WANTED[codes]
    return found
