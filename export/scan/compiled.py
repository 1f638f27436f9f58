"""How scans are compiled: without the lock of Python, and kept for the next process.

Numba keeps what it compiled by the text of the function's own file, but a function has others compiled into it: so it
is kept by the texts of all of them.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

__all__ = ["FIRST", "MADE", "compiled"]

# What functions are given in place of a 0: numba compiles them anew, seconds for a large one, for each number that is
# written where they are called
FIRST = np.int64(0)

# Functions, with all that is compiled into them, that this process has compiled: by whether they are kept
MADE = {True: 0, False: 0}

_FOLDERS = "scan", "dense"  # of export/, whose functions are compiled into each other


def compiled(signature: str | None = None) -> Callable[[Any], Any]:
    """Compile, and keep the result beside the source or in the user's cache; where neither can be written, don't."""

    def decorate(function: Any) -> Any:
        kept = True
        try:
            found = njit(cache=True, nogil=True)(function)
            _keep_by(found, _texts())
        except RuntimeError:  # numba found no place that it may write
            found, kept = njit(nogil=True)(function), False
        if signature is not None:
            found.compile(signature)
            found.disable_compile()
            MADE[kept] += not found.stats.cache_hits
        return found

    return decorate


def _keep_by(found: Any, texts: str) -> None:
    """Have what is kept of a function be taken for these texts alone. Not public in numba, so the tests look at it."""
    kept = found._cache._cache_file
    kept._source_stamp = (kept._source_stamp, texts)


@cache
def _texts() -> str:
    """Return what tells the sources in `_FOLDERS` from any others."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for folder in _FOLDERS for path in (root / folder).glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
