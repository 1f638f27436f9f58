"""The compiled code that makes lists: loaded, and told where that takes a while, as for the first process on a machine.

Nothing here needs numba; without it nothing is loaded.
"""

import contextlib
import importlib
import time
from collections.abc import Callable

__all__ = ["load_scan"]

_A_WHILE = 2.0  # seconds; what an earlier process has compiled takes a part of one


def load_scan(*, coded: bool, layered: bool = True, clock: Callable[[], float] = time.monotonic) -> str:
    """Load the scan of codes, or that of dense vectors, with a layer behind it or without; return what to say of it,
    "" where it took a moment."""
    began = clock()
    with contextlib.suppress(ImportError):
        importlib.import_module(
            "export.scan.kernel" if coded else "export.dense.layered" if layered else "export.dense.kernel"
        )
    took = clock() - began
    return f"what makes the lists, {took:.0f} s; kept for the next process on this machine" if took > _A_WHILE else ""
