"""How a worker reads its clicks where their topic may have a registry's format.

A batch waits for the schemas of its clicks, and nothing else of the worker does: the registry is asked in another
thread. Clicks whose schema is known are read while it is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stream.errors import SchemaRegistryAway
from stream.formats.config import split_formats
from stream.messages.contract import Click, Erase, decode_event
from stream.ops.problems import Problems
from stream.partition.reading import Record

if TYPE_CHECKING:
    from stream.formats.values import Values

__all__ = ["ClickReading", "SchemaWait", "click_reading"]

_FIRST_S, _LONGEST_S = 0.2, 10.0  # between two questions to a registry that is away


class ClickReading:
    """Clicks that are JSON, which needs nothing."""

    decode: Callable[[bytes | None, bytes | None, int], Click | Erase] = staticmethod(decode_event)
    known: Callable[[Sequence[Record]], Awaitable[None]] | None = None  # returns once the clicks can be decoded
    is_waiting = False  # may be read in any thread


class SchemaWait(ClickReading):
    """Clicks in any format. For one event loop."""

    def __init__(self, values: "Values", problems: Problems) -> None:
        self._values, self._problems = values, problems
        self._topic = values.config.clicks
        self.decode, self.known = values.event, self._known

    async def _known(self, records: Sequence[Record]) -> None:
        """Return once the schema of every click is known, or known to be none."""
        missing = (self._values.missing(self._topic, record.value) for record in records)
        for number in dict.fromkeys(one for one in missing if one is not None):
            await self._fetch(number)

    async def _fetch(self, number: int) -> None:
        pause_s = _FIRST_S
        try:
            while True:
                try:
                    return await asyncio.to_thread(self._values.fetch, self._topic, number)
                except SchemaRegistryAway as error:
                    self.is_waiting = True
                    self._problems.raise_(
                        "schema_registry",
                        f"clicks wait for schema {number}: {error}",
                        "see to the registry; they are answered once it says what the schema is",
                    )
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_S)
        finally:
            self.is_waiting = False
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
