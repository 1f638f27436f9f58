"""A JSON list of millions of strings, read by numpy, which lets other threads run meanwhile, where it is plain.

Plain is `["one","two"]`, no escapes, and nothing between what must be there. Other lists are left to a reader of JSON.
"""

import codecs

import numpy as np
from numpy.typing import NDArray

from export.bundle.packed import PackedStrings

__all__ = ["strings_of"]

_AT_ONCE = 1 << 20  # bytes
_QUOTE, _COMMA, _SPACE = ord('"'), ord(","), ord(" ")


def strings_of(content: bytes) -> PackedStrings | None:
    """Return the strings of a plain list of at least one, none of them empty; None for whatever else it is."""
    if not (content.startswith(b'["') and content.endswith(b'"]')) or b"\\" in content:
        return None
    texts: list[bytes] = []
    lengths: list[NDArray[np.uint32]] = []
    start = 1  # at an opening quote
    while start < len(content):
        end = min(start + _AT_ONCE, len(content))
        end = len(content) - 1 if end == len(content) else content.rfind(b'","', start, end) + 1
        read = _part(np.frombuffer(content, np.uint8, end - start, start)) if end > start else None
        if read is None:
            return None
        texts.append(read[0])
        lengths.append(read[1])
        start = end + 1
    text = b"".join(texts)
    del texts
    return PackedStrings.of(text, np.concatenate(lengths))


def _part(part: NDArray[np.uint8]) -> tuple[bytes, NDArray[np.uint32]] | None:
    """Return the strings end to end and the bytes of each, of what is between two commas outside of strings."""
    quotes = np.flatnonzero(part == _QUOTE)
    if len(quotes) % 2 or not len(quotes) or quotes[0] != 0 or quotes[-1] != len(part) - 1:
        return None
    opening, closing = quotes[::2], quotes[1::2]
    lengths = closing - opening - 1
    between = closing[:-1] + 1
    if (lengths < 1).any() or (opening[1:] - between != 1).any() or (part[between] != _COMMA).any():
        return None
    if (part < _SPACE).any():  # no string of JSON has such
        return None
    inside = np.ones(len(part), dtype=np.bool_)
    inside[quotes] = inside[between] = False
    text = part[inside]
    if (text > 127).any():
        try:  # string by string: none may end within a letter; with the quotes, which no letter holds
            codecs.utf_8_decode(part.tobytes(), "strict", True)
        except UnicodeDecodeError:
            return None
    return text.tobytes(), lengths.astype(np.uint32)
