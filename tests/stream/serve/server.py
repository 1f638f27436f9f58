"""A read API at work in a test: on the in-process cluster, its requests from aiohttp's client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from stream.messages.contract import Recommendation, Source, encode, recommended
from stream.serve.config import ServeConfig
from stream.serve.service import ServeService
from stream.topic_names import Topics

__all__ = ["CALM_S", "list_of", "serving", "until"]

CALM_S = 20.0  # for what takes a moment on a machine that has time


def list_of(session: str, offset: int, placement: str = "", published_ts: int = 1) -> tuple[bytes, bytes]:
    """A message of the recommendations' topic."""
    found = Recommendation(
        session_id=session,
        items=recommended([("a", 0.5)]),
        model="1",
        variant="default",
        fallback=False,
        source=Source("clicks", 0, offset),
        event_ts=1,
        published_ts=published_ts,
        placement=placement,
    )
    return session.encode(), encode(found)


@asynccontextmanager
async def serving(
    cluster: str, topics: Topics, config: ServeConfig, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[aiohttp.ClientSession, ServeService]]:
    """A client of a server that has read what there is; the server has ended with the block."""
    service, stop = ServeService(cluster, topics, config=config), threading.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(service.run(stop, port))
    running.add_done_callback(lambda _: port.done() or port.cancel())
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{await port}", headers=headers) as client:
            yield client, service
    finally:
        stop.set()
        await asyncio.wait_for(running, CALM_S)


async def until(probe: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once it is so; fails after a while."""
    for _ in range(int(CALM_S / 0.05)):
        if await probe():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never came: {what}")
