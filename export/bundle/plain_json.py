"""A JSON list of millions of strings, read by numpy, which lets other threads run meanwhile, where it is plain.

Plain is `["one","two"]`, no escapes, and nothing between what must be there. Other lists are left to a reader of JSON.
"""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from export.bundle.packed import PackedStrings
from export.gently import rest

__all__ = ["strings_in"]

_AT_ONCE = 1 << 18  # bytes: what is made of so many stays in the cache of one core
_QUOTE, _COMMA, _SPACE = ord('"'), ord(","), ord(" ")


def strings_in(file: BinaryIO, size: int) -> PackedStrings | None:
    """Return the strings of a plain list of at least one, none of them empty, of the next `size` bytes of a file; None
    for whatever else they are. Beside what is returned, it takes memory for a part of the file at a time."""
    text, lengths = io.BytesIO(), io.BytesIO()  # each grows in one place, and is given away as it is
    try:
        for part in _parts(file, size):
            strings, of_each = _part(np.frombuffer(part, np.uint8))
            text.write(strings)
            lengths.write(of_each)
            rest()
    except _NotPlain:
        return None
    return PackedStrings.of(text.getvalue(), np.frombuffer(lengths.getbuffer(), dtype=np.uint32))


class _NotPlain(Exception):
    """It is no such list, or not in the plain way."""


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield what is inside of the brackets, cut at commas between strings; _NotPlain where that can't be had."""
    begun = file.read(min(1, size))
    left, kept = size - len(begun), b""
    if begun != b"[":
        raise _NotPlain
    while left:
        read = file.read(min(left, _AT_ONCE))
        if not read or b"\\" in read:
            raise _NotPlain
        left -= len(read)
        kept += read
        if left:
            end = kept.rfind(b'","') + 1
            if not end and len(kept) < 2 * _AT_ONCE:
                continue
            if not end:  # a string that is longer than a part, or none
                raise _NotPlain
            part, kept = kept[:end], kept[end + 1 :]
            yield part
    if not kept.endswith(b"]"):
        raise _NotPlain
    yield kept[:-1]


def _part(part: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return the strings end to end, and the bytes of each as uint32, of what is between two commas outside of strings;
    _NotPlain."""
    quotes = np.flatnonzero(part == _QUOTE)
    if len(quotes) % 2 or not len(quotes) or quotes[0] != 0 or quotes[-1] != len(part) - 1:
        raise _NotPlain
    opening, closing = quotes[::2], quotes[1::2]
    lengths = closing - opening - 1
    between = closing[:-1] + 1
    if (lengths < 1).any() or (opening[1:] - between != 1).any() or (part[between] != _COMMA).any():
        raise _NotPlain
    if (part < _SPACE).any():  # no string of JSON has such
        raise _NotPlain
    inside = np.ones(len(part), dtype=np.bool_)
    inside[quotes] = inside[between] = False
    text = part[inside]
    if (text > 127).any():
        try:  # string by string: none may end within a letter; with the quotes, which no letter holds
            codecs.utf_8_decode(part.tobytes(), "strict", True)
        except UnicodeDecodeError as error:
            raise _NotPlain from error
    return text.tobytes(), lengths.astype(np.uint32).tobytes()
