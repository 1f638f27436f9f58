"""How a worker reads its clicks where their topic may have a registry's format.

A batch waits for the schemas of its clicks, and with it its partition; nothing else of the worker does: the registry is
asked in another thread. Clicks whose schema is known are read while it is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stream.errors import SchemaRegistryAway
from stream.formats.config import split_formats
from stream.messages.contract import Click, Erase, decode_event
from stream.ops.problems import Problems
from stream.partition.reading import Record
from stream.path.undecoded import Readable

if TYPE_CHECKING:
    from stream.formats.values import Values

__all__ = ["ClickReading", "SchemaWait", "click_reading"]

_FIRST_S, _LONGEST_S = 0.2, 10.0  # between two questions to a registry that is away


class ClickReading:
    """Clicks that are JSON, which needs nothing."""

    decode: Callable[[bytes | None, bytes | None, int], Click | Erase] = staticmethod(decode_event)
    known: Readable | None = None  # says when clicks can be decoded
    is_waiting = False  # may be read in any thread


class SchemaWait(ClickReading):
    """Clicks in any format. For one event loop."""

    def __init__(self, values: "Values", problems: Problems) -> None:
        self._values, self._problems = values, problems
        self._topic = values.config.clicks
        self._asking = asyncio.Lock()  # one question at a time, whoever waits
        self._waits = 0  # for a registry that is away
        self.decode, self.known = values.event, self._known

    def _known(self, records: Sequence[Record]) -> Awaitable[None] | None:
        """Return None where the schema of every click is known, or known to be none; else when they are."""
        missing = (self._values.missing(self._topic, record.value) for record in records)
        numbers = list(dict.fromkeys(one for one in missing if one is not None))
        return self._fetch_all(numbers) if numbers else None

    async def _fetch_all(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self._fetch(number)

    async def _fetch(self, number: int) -> None:
        pause_s, is_late = _FIRST_S, False
        try:
            while True:
                try:
                    async with self._asking:
                        return await asyncio.to_thread(self._values.fetch, self._topic, number)
                except SchemaRegistryAway as error:
                    self._waits += not is_late
                    is_late = self.is_waiting = True
                    self._problems.raise_(
                        "schema_registry",
                        f"clicks wait for schema {number}: {error}",
                        "see to the registry; they are answered once it says what the schema is",
                    )
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_S)
        finally:
            self._waits -= is_late
            self.is_waiting = self._waits > 0
            if not self.is_waiting:
                self._problems.clear("schema_registry")


def click_reading(extra: Mapping[str, str], problems: Problems) -> ClickReading:
    """As the client options say. ConfigError or SchemaRegistryAway where lists can't be written as they are to be."""
    _, formats = split_formats(extra)
    if formats is None:
        return ClickReading()
    from stream.formats.values import values_of

    values = values_of(formats)
    values.prepare(formats.lists)
    return SchemaWait(values, problems)
