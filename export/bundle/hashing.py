"""Hashes of many strings at once by numpy, which lets other threads run meanwhile, and of one string by Python.

A string is the number that its UTF-8 is in little endian, and its hash that number modulo 2^61 - 1. A word of 8 bytes
is worth 2^64 = 8 of the one before it there, so that the words are turned by 3 bits each, and added up. Where the hash
leads, its slot, follows from a factor that each process draws, so nobody can craft strings of neighbouring slots; of
equal hashes one can, which who keeps them must bear.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["hash_of", "hashes_of", "slot_of", "slots_of"]

_MODULUS = (1 << 61) - 1
_BITS = 61
_WORD = 8  # bytes
_ALL = (1 << 64) - 1
_FACTOR = hash("slots") & _ALL | 1  # odd, and another in each process, as Python's own hashes are
_LOW = np.array([(1 << 8 * count) - 1 for count in range(_WORD + 1)], dtype=np.uint64)  # by bytes that count


def hash_of(text: bytes) -> int:
    """Return the hash of one string."""
    return int.from_bytes(text, "little") % _MODULUS


def slot_of(hashed: int, bits: int) -> int:
    """Return the slot of a hash among 2^bits."""
    return ((hashed ^ hashed >> 32) * _FACTOR & _ALL) >> 64 - bits


def slots_of(hashed: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Return the slots of hashes (n,) among 2^bits."""
    mixed = hashed ^ (hashed >> np.uint64(32))
    mixed *= np.uint64(_FACTOR)
    mixed >>= np.uint64(64 - bits)
    return mixed.view(np.int64)


def hashes_of(text: bytes, starts: NDArray[np.integer], ends: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return the hashes (n,) of the strings at starts (n,) to ends (n,) in `text`, one behind the other."""
    if not len(starts):
        return np.empty(0, dtype=np.uint64)
    first, last = int(starts[0]), int(ends[-1])
    near = np.frombuffer(text[first:last] + bytes(_WORD), dtype=np.uint8)  # and a word, so that none reaches beyond
    words = np.ndarray((last - first + 1,), dtype="<u8", buffer=near, strides=(1,))  # one from each byte on
    begin = starts.astype(np.int64) - first
    left = ends.astype(np.int64) - first - begin  # bytes
    found = np.zeros(len(begin), dtype=np.uint64)
    some, turned = np.arange(len(begin)), 0
    while len(some):
        word = words[begin] & _LOW[np.minimum(left, _WORD)]
        found[some] = _modulo(found[some] + _turn(_modulo(word), turned))
        more = left > _WORD
        some, begin, left = some[more], begin[more] + _WORD, left[more] - _WORD
        turned = (turned + 3) % _BITS
    return found


def _modulo(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    found = (numbers & np.uint64(_MODULUS)) + (numbers >> np.uint64(_BITS))
    found[found >= _MODULUS] -= np.uint64(_MODULUS)
    return found


def _turn(numbers: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    """Multiply numbers below the modulus with 2^by: their 61 bits turn."""
    if not by:
        return numbers
    return ((numbers << np.uint64(by)) & np.uint64(_MODULUS)) | (numbers >> np.uint64(_BITS - by))
