"""Failures that are handed over: heard by whoever waits, and no traceback where nobody does."""

import asyncio
import gc
from typing import Any

import pytest

from stream.errors import PublishFailed
from stream.ops.futures import fail


def test_failure_is_raised_in_whoever_waits() -> None:
    async def run() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        fail(future, PublishFailed("refused"))
        with pytest.raises(PublishFailed, match="refused"):
            await future

    asyncio.run(run())


def test_failure_that_nobody_waits_for_any_more_prints_no_traceback() -> None:
    said: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        future: asyncio.Future[None] = loop.create_future()
        fail(future, PublishFailed("refused"))
        del future
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert said == []
