"""Memory of the C library: large arrays stand apart and go back to the system as they are freed, and what loading a
model took besides goes back after it. Else the library keeps both, and the limit counts them."""

import ctypes
from typing import Any

__all__ = ["give_back_memory", "keep_large_apart"]

# glibc's mallopt. By itself the library raises the first with each large array that is freed, up to 32 MiB: the next
# ones then come out of a heap that others have parts of, and are filled with zeros though nobody writes into them
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE, _SPARE = 4 << 20, 8 << 20  # bytes; the spare ones are those that an arena keeps at its end


def _of_glibc(name: str) -> Any:
    """A function of glibc; None where the C library is another."""
    try:
        library = ctypes.CDLL(None)
        return getattr(library, name) if hasattr(library, "gnu_get_libc_version") else None
    except (AttributeError, OSError, TypeError):
        return None


_malloc_trim, _mallopt = _of_glibc("malloc_trim"), _of_glibc("mallopt")


def keep_large_apart() -> None:
    """Have arrays of 4 MiB or more, those of models of millions of items, in memory of their own, where that can be."""
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, _LARGE)
        _mallopt(_M_TRIM_THRESHOLD, _SPARE)


def give_back_memory() -> None:
    """Give free memory of the C library back, where it can; other threads run meanwhile."""
    if _malloc_trim is not None:
        _malloc_trim(0)
