"""Failures handed over to somebody who may have gone."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["fail"]


def fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Raise `error` in whoever awaits the future.

    Where nobody does any more, as the worker ends, that is no fault of its own, and asyncio would print a traceback for
    it: nothing was acknowledged, and the clicks are read again.
    """
    future.set_exception(error)
    future.exception()  # heard
