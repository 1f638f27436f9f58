"""What a click and a list of 20 cost by format, on one core: python -m bench.costs.formats [--calls N] [--json]

A click: from the bytes of a message to a `Click`, all rules kept. A list, written: from the message that a worker has
made, which is JSON, to the bytes that are sent; read: back to JSON. Microseconds that the process worked, the least of
five rounds; schemas are known by then. The registry is the one of the tests.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from bench.rig.schema_registry import RegistryServer
from stream.formats.config import FormatConfig, ValueFormat
from stream.formats.registry import SchemaRegistry
from stream.formats.values import Values
from stream.messages.contract import Click, Recommendation, Source, decode_event, encode, recommended

__all__ = ["measure"]

ROUNDS, K, NOW = 5, 20, 1_700_000_000_000
CLICK = Click("session-4711", "item-98765", NOW, "click")
LIST = Recommendation(
    "session-4711",
    recommended([(f"item-{number}", 9.5 - number / 7) for number in range(K)]),
    "12",
    "default",
    False,
    Source("clicks", 3, 815),
    NOW,
    NOW + 9,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="of a round")
    parser.add_argument("--json", action="store_true", help="lines for programs")
    args = parser.parse_args()
    rows = measure(args.calls)
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=120).print(table)


def measure(calls: int) -> list[dict[str, Any]]:
    """A row a format; times in microseconds, sizes in bytes."""
    server = RegistryServer()
    server.start()
    try:
        without = {"format": "json, no registry", "click_us": best(calls, decode(decode_event, encode(CLICK)))}
        rows = [without | {"list_written_us": 0.0, "list_read_us": 0.0} | sizes(encode(CLICK), encode(LIST))]
        return rows + [row(form, server.url, calls) for form in get_args(ValueFormat)]
    finally:
        server.stop()


def row(form: ValueFormat, url: str, calls: int) -> dict[str, Any]:
    clicks, lists = f"{form}-clicks", f"{form}-lists"  # each with subjects of its own
    config = FormatConfig(registry=url, clicks=clicks, lists=lists, click_format=form, list_format=form)
    values, list_ = Values(config, SchemaRegistry(config)), encode(LIST)
    click, sent = values.from_json(clicks, encode(CLICK)), values.from_json(lists, list_)
    for topic, value in ((clicks, click), (lists, sent)):
        if (number := values.missing(topic, value)) is not None:
            values.fetch(topic, number)
    assert values.event(click, CLICK.session_id.encode(), NOW) == CLICK
    assert values.to_json(lists, sent) == list_
    times = {
        "click_us": best(calls, decode(values.event, click)),
        "list_written_us": best(calls, lambda: values.from_json(lists, list_)),
        "list_read_us": best(calls, lambda: values.to_json(lists, sent)),
    }
    return {"format": form, **times, **sizes(click, sent)}


def decode(by: Callable[[bytes, bytes, int], Any], value: bytes) -> Callable[[], Any]:
    key = CLICK.session_id.encode()
    return lambda: by(value, key, NOW)


def best(calls: int, do: Callable[[], Any]) -> float:
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(calls):
            do()
        least = min(least, time.process_time() - begun)
    return round(least / calls * 1e6, 2)


def sizes(click: bytes, list_: bytes) -> dict[str, int]:
    return {"click_bytes": len(click), "list_bytes": len(list_)}


if __name__ == "__main__":
    main()
