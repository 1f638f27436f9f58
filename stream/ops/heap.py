"""What loading a model took for a moment goes back to the system: the C library keeps it, and the limit counts it."""

import ctypes
from collections.abc import Callable

__all__ = ["give_back_memory"]


def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim  # glibc's; others have none
    except (AttributeError, OSError, TypeError):
        return None


_malloc_trim = _trim()


def give_back_memory() -> None:
    """Give free memory of the C library back, where it can; other threads run meanwhile."""
    if _malloc_trim is not None:
        _malloc_trim(0)
