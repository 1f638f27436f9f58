"""Clicks wait for their schemas, and it is said for as long as any does."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stream.errors import SchemaRegistryAway
from stream.formats import waiting
from stream.formats.values import Values
from stream.formats.waiting import SchemaWait
from stream.ops.problems import Problems
from stream.partition.reading import Record
from tests.stream.records import click


class SomeValues:
    """Each click is of the schema that its item says; schemas become known one by one."""

    config = SimpleNamespace(clicks="clicks")
    event = None

    def __init__(self) -> None:
        self.known, self.there = set[int](), set[int]()

    def missing(self, topic: str, value: bytes | None) -> int | None:
        number = int(json.loads(value or b"")["item_id"])
        return None if number in self.known else number

    def fetch(self, topic: str, number: int) -> None:
        if number not in self.there:
            raise SchemaRegistryAway(f"no answer on schema {number}")
        self.known.add(number)


class SomeProblems:
    def __init__(self) -> None:
        self.raised = 0
        self.cleared = 0

    def raise_(self, *args: Any) -> None:
        self.raised += 1

    def clear(self, code: str) -> None:
        self.cleared += 1


def of(schema: int) -> Sequence[Record]:
    return [click(0, "s", str(schema))]


def test_clicks_of_known_schemas_do_not_wait() -> None:
    values = SomeValues()
    values.known = {3}
    wait = SchemaWait(cast(Values, values), cast(Problems, SomeProblems()))
    assert wait.known is not None
    assert wait.known(of(3)) is None


def test_the_registry_is_away_as_long_as_any_clicks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        values, problems = SomeValues(), SomeProblems()
        wait = SchemaWait(cast(Values, values), cast(Problems, problems))
        assert wait.known is not None
        one, other = (asyncio.ensure_future(cast(Any, wait.known(of(schema)))) for schema in (1, 2))
        while problems.raised < 4:
            await asyncio.sleep(0.001)
        assert wait.is_waiting
        values.there = {1}
        await one
        assert (wait.is_waiting, problems.cleared) == (True, 0), "the other waits yet"
        other.cancel()
        await asyncio.wait([other])
        assert (wait.is_waiting, problems.cleared) == (False, 1), "nobody waits any more"
        assert wait.known(of(1)) is None

    monkeypatch.setattr(waiting, "_FIRST_S", 0.002)
    asyncio.run(asyncio.wait_for(run(), 20))
