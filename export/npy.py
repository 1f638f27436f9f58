"""Arrays of NumPy's files, read while other threads read some, too."""

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["one_at_a_time"]

T = TypeVar("T")
_parsing = threading.Lock()


def one_at_a_time(read: Callable[[], T]) -> T:
    """Return `read()`, which parses the header of such a file, as does no other thread here meanwhile.

    Python 3.11 counts the depth of two parses at once together, and one of them ends with SystemError though its file
    is sound (gh-106905). Others than we may parse as well: so it is tried once more.
    """
    with _parsing:
        try:
            return read()
        except SystemError:
            return read()
