"""The compiled code that makes lists, loaded before it is waited for; told where it had to be compiled for that.

Nothing here needs numba; without it, and on a processor for which there is no such code, nothing is loaded.
"""

import importlib
import time

__all__ = ["load_scan"]

_KEPT = "kept for the next process on this machine"
_NOT_KEPT = (
    "kept nowhere, as neither the folder of the code nor the user's cache can be written, so that each process does it "
    "again: set NUMBA_CACHE_DIR to a folder that can"
)


def load_scan(*, coded: bool) -> str:
    """Load the scan of codes, or that of dense vectors with what a layer needs; return what to say of it, "" where an
    earlier process has compiled it."""
    began = time.monotonic()
    try:
        from export.scan.compiled import MADE

        if not coded and not _multiplies():
            return ""
        before = dict(MADE)
        importlib.import_module("export.scan.kernel" if coded else "export.dense.layered")
    except ImportError:
        return ""
    if before == MADE:
        return ""
    kept = _NOT_KEPT if MADE[False] > before[False] else _KEPT
    return f"compiled what makes the lists, {time.monotonic() - began:.0f} s; it is {kept}"


def _multiplies() -> bool:
    """Whether this processor has instructions that the dense scan multiplies with."""
    from export.dense.products import HAS_AVX2, HAS_VNNI

    return HAS_AVX2 or HAS_VNNI
