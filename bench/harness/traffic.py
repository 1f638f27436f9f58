"""What storefronts send: clicks of sessions that go on for many rounds, and messages that are no clicks."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Generator
from random import Random

from bench.rig.clients import Storefront, now_ms

__all__ = ["HOSTILE", "Traffic", "send_hostile"]

EXPECTED = "expected"  # header of a hostile message: the reason with which it must be rejected
_KINDS = ("click",) * 12 + ("cart", "order", "like", "skip", "dislike")
_DAY_MS = 24 * 3600 * 1000


class Traffic:
    """Clicks at `rate` a second while the block lasts. Half of the sessions are old acquaintances, and some are new."""

    def __init__(self, storefront: Storefront, *, rate: float, sessions: int, items: int, seed: int) -> None:
        self._storefront, self._rate, self._items = storefront, rate, items
        self._random = Random(seed)
        self._sessions = [f"s{number}" for number in range(sessions)]
        self._new = 0
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Traffic:
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """No click is sent while the block lasts, and all that were are confirmed; then a second is made up for."""
        with self._sending:
            self._storefront.flush()
            yield

    def click(self, session_id: str) -> None:
        """One click; some are of unknown items, some late, and a few so much later that a session starts anew."""
        random = self._random
        item = f"item-{random.randint(1, self._items)}" if random.random() < 0.95 else f"unknown-{random.randint(1, 9)}"
        late = random.choice((0,) * 30 + (-60_000, -7_200_000, 2_000_000))
        self._storefront.click(session_id, item, now_ms() + late, random.choice(_KINDS))

    def probe(self, count: int) -> None:
        """One click of each of `count` sessions, most of them old."""
        for session in self._random.sample(self._sessions, count - 5):
            self.click(session)
        for _ in range(5):
            self.click(self._fresh())

    def _fresh(self) -> str:
        self._new += 1
        return f"new{self._new}"

    def _run(self) -> None:
        begun, sent = time.monotonic(), 0
        while not self._ended.wait(0.005):
            with self._sending:
                now = time.monotonic()
                begun = max(begun, now - (sent + self._rate) / self._rate)  # of a long hold, one second
                for _ in range(sent, due := int((now - begun) * self._rate)):
                    fresh = self._random.random() < 0.02
                    self.click(self._fresh() if fresh else self._random.choice(self._sessions))
                sent = max(sent, due)


def _value(**changes: object) -> bytes:
    """A good click of session `s0` with some fields changed; None leaves one out."""
    fields: dict[str, object] = {"session_id": "s0", "item_id": "item-1", "ts": now_ms(), **changes}
    return json.dumps({name: one for name, one in fields.items() if one is not None}).encode()


def _noise(random: Random) -> bytes:
    return b"\xff" + random.randbytes(random.randint(1, 2000))  # 0xff is never UTF-8


# (reason, value, key) of one message that must be rejected for that reason
HOSTILE: tuple[Callable[[Random], tuple[str, bytes | None, bytes | None]], ...] = (
    lambda random: ("value_missing", None, b"s0"),
    lambda random: ("too_large", _value(context={"x": "y" * 900_000}), b"s0"),
    lambda random: ("not_utf8", _noise(random), b"s0"),
    lambda random: ("not_utf8", _noise(random), random.randbytes(8)),
    lambda random: ("not_json", b"clicked!", b"s0"),
    lambda random: ("not_json", _value()[: random.randint(1, 20)], b"s0"),
    lambda random: ("too_deep", b'{"context": ' + b"[" * 60_000, b"s0"),
    lambda random: ("not_object", b"[1, 2]", b"s0"),
    lambda random: ("missing_item_id", _value(item_id=None), b"s0"),
    lambda random: ("wrong_type_item_id", _value(item_id=True), b"s0"),
    lambda random: ("wrong_type_session_id", _value(session_id={"a": 1}), b"s0"),
    lambda random: ("wrong_type_ts", _value(ts="now"), b"s0"),
    lambda random: ("out_of_range_item_id", _value(item_id=2**70), b"s0"),
    lambda random: ("control_characters_item_id", _value(item_id="a\u0000b"), b"s0"),
    lambda random: ("too_long_session_id", _value(session_id="s" * 300), b"s0"),
    lambda random: ("ts_future", _value(ts=now_ms() + 3 * _DAY_MS), b"s0"),
    lambda random: ("unknown_type", _value(type="stare"), b"s0"),
    lambda random: ("key_missing", _value(), None),
    lambda random: ("key_mismatch", _value(), b"s1"),
    lambda random: ("key_mismatch", _value(), random.randbytes(6)),
)


def send_hostile(storefront: Storefront, random: Random, partitions: int) -> None:
    """One message that is no click, to any partition."""
    reason, value, key = random.choice(HOSTILE)(random)
    storefront.raw(value, key, [(EXPECTED, reason.encode())], random.randrange(partitions))
