"""Where answers come from: the lists that are kept here, or Redis."""

import asyncio
import time
from typing import Protocol

import msgspec

from stream.redis.errors import remedy_for
from stream.redis.sink import PREFIX
from stream.serve.errors import SourceAway
from stream.serve.sources.similar import SimilarStore
from stream.serve.sources.store import Head, ListStore, Newest
from stream.similar.publisher import KEY

__all__ = ["KeptLists", "Lists", "RedisLists"]

_TIMEOUT_S = 1.0  # of a connection and of an answer
_WHOLE_S = 2.0  # of a request, with its wait for a connection, and whatever is tried again or asked of other nodes
_decode_head = msgspec.json.Decoder(Head).decode


class Lists(Protocol):
    """What handlers ask. SourceAway."""

    async def newest(self, session_id: str, placement: str) -> Newest | None: ...

    async def similar(self, item_id: str) -> bytes | None: ...

    def placements(self, session_id: str) -> list[str]: ...

    async def close(self) -> None: ...


class KeptLists:
    """The stores, which feeds fill."""

    def __init__(self, lists: ListStore, similar: SimilarStore) -> None:
        self._lists, self._similar = lists, similar

    async def newest(self, session_id: str, placement: str) -> Newest | None:
        """The newest list, if one is kept."""
        return self._lists.get(session_id, placement, time.time())

    async def similar(self, item_id: str) -> bytes | None:
        """The items like one."""
        return self._similar.get(item_id)

    def placements(self, session_id: str) -> list[str]:
        """Of which placements the session has lists."""
        return self._lists.placements(session_id, time.time())

    async def close(self) -> None:
        """There is nothing to close."""


class RedisLists:
    """Lists as workers and `similar publish` put them there with `--redis`. `trouble` is what was wrong last."""

    def __init__(self, url: str, prefix: str = "") -> None:
        """prefix: that of the topics. ConfigError where it is no URL of a Redis."""
        from stream.redis.reading import CONNECTIONS, RedisReader  # for those that have a Redis

        self._reader = RedisReader(url, timeout_s=_TIMEOUT_S)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._prefix = prefix
        self.trouble = self.remedy = ""

    async def newest(self, session_id: str, placement: str) -> Newest | None:
        """The newest list, if Redis has one."""
        name = f"{session_id}:{placement}" if placement else session_id
        value = await self._get(f"{self._prefix}{PREFIX}{name}")
        if value is None:
            return None
        try:
            head = _decode_head(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None  # somebody else's
        return Newest(value, head.source.partition, head.source.offset, head.published_ts, float("inf"))

    async def similar(self, item_id: str) -> bytes | None:
        """The items like one."""
        return await self._get(f"{self._prefix}{KEY}{item_id}")

    def placements(self, session_id: str) -> list[str]:
        """Redis does not tell without a look at all of its keys."""
        return []

    async def close(self) -> None:
        """Leave Redis."""
        await self._reader.close()

    async def _get(self, key: str) -> bytes | None:
        import redis

        try:
            async with asyncio.timeout(_WHOLE_S), self._turns:
                found = await self._reader.get(key)
        except (redis.RedisError, OSError) as error:
            said = str(error) or f"nothing within {_WHOLE_S:.0f} s"
            self.trouble, self.remedy = f"Redis does not answer: {said}", remedy_for(error)
            raise SourceAway(self.trouble) from error
        self.trouble = ""
        return found
