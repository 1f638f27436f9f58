"""How scans are compiled: without the lock of Python, and kept for the next process."""

from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["compiled"]


def compiled(signature: str | None = None) -> Callable[[Any], Any]:
    """Compile, and keep the result beside the source or in the user's cache; where neither can be written, don't."""

    def decorate(function: Any) -> Any:
        options: dict[str, Any] = {"nogil": True}
        arguments = () if signature is None else (signature,)
        try:
            return njit(*arguments, cache=True, **options)(function)
        except RuntimeError:  # numba found no place that it may write
            return njit(*arguments, **options)(function)

    return decorate
