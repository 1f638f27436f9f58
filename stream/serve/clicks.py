"""Clicks that come by HTTP: judged by the contract, sent to their session's partition, confirmed by the broker.

A click goes on as it came, byte by byte, so that what a shop adds to it is in the log as well.
"""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from export.ids import normal_id
from stream.guarantee.publisher import broker_answers
from stream.kafka.clients import build_client, producer_options
from stream.messages.contract import Erase, decode_event
from stream.serve.errors import BadBody

__all__ = ["ClickWriter", "Confirmed", "Refused", "Sound", "judge", "split_body"]

_POLL_S = 0.1
_ASK_S = 1.0  # between two questions whether a broker is back
_ANSWER_S = 0.5  # for its answer; the confirmations of clicks wait as long
_SLACK_S = 1.0  # of the client's own clock, after which a click counts as not confirmed


class Sound(NamedTuple):
    """A click, or a wish to erase a session, that may go to the topic."""

    key: bytes
    value: bytes
    erases: bool = False


class Refused(msgspec.Struct, frozen=True):
    """A click that did not get there."""

    index: int  # its place in the request, from 0
    reason: str  # of the contract, not_confirmed, or no_right
    detail: str


class Confirmed(msgspec.Struct, frozen=True):
    """Where the broker put a click."""

    index: int
    partition: int
    offset: int


class _Keyed(msgspec.Struct):
    session_id: str | int


_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_key = msgspec.json.Decoder(_Keyed).decode


def split_body(body: bytes, most: int) -> list[bytes]:
    """The clicks of a request, as they came. BadBody where there is none, or there are more than `most`."""
    text = body.strip()
    if not text.startswith(b"["):
        if not text:
            raise BadBody("the body is empty: it must be a click, or an array of clicks, as JSON")
        return [text]
    try:
        found = _decode_array(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not 1 <= len(found) <= most:
        raise BadBody(f"a request has 1 to {most:,} clicks, not {len(found):,}")
    return [bytes(one) for one in found]


def judge(value: bytes, now_ms: int) -> Sound:
    """By the rules that the workers have; BadClick."""
    key: bytes | None = None
    try:
        said = _decode_key(value).session_id
        key = normal_id(said if isinstance(said, str) else str(said)).encode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # which the rules have a word for
    event = decode_event(value, key, now_ms)
    return Sound(event.session_id.encode(), value, isinstance(event, Erase))


class ClickWriter:
    """One producer for all requests. `trouble`: what its client said last that was wrong; "" once a broker answers."""

    def __init__(
        self, bootstrap_servers: str, topic: str, extra: Mapping[str, str] | None = None, *, confirm_s: float = 5.0
    ) -> None:
        options = producer_options(bootstrap_servers, extra, delivery_timeout_s=confirm_s)
        self._producer: Producer = build_client(Producer, options | {"error_cb": self._note})
        self._topic, self._confirm_s = topic, confirm_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="serve-clicks", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Begin to take confirmations."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Wait for what is on its way. For another thread than the loop's."""
        self._producer.flush(timeout_s)
        self._stopped.set()
        self._thread.join()

    async def send(
        self, clicks: Sequence[Sound], headers: Sequence[tuple[str, bytes]] = ()
    ) -> list[tuple[int, int] | str]:
        """(partition, offset) of each click once the broker has all of them, or why it is not known to have it.

        headers: of each record.
        """
        given = list(headers)
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        outcome: list[tuple[int, int] | str] = ["the broker did not answer in time"] * len(clicks)
        left = len(clicks)  # counted down in the thread that polls, and here; both hold the lock
        lock = threading.Lock()

        def settle(at: int, said: tuple[int, int] | str) -> None:
            nonlocal left
            with lock:
                outcome[at] = said
                left -= 1
                last = left == 0
            if last:
                loop.call_soon_threadsafe(_set, done)

        for at, click in enumerate(clicks):

            def confirmed(error: KafkaError | None, message: Message, at: int = at) -> None:
                if error is None:
                    self.trouble = ""
                    settle(at, (message.partition() or 0, message.offset() or 0))
                else:
                    settle(at, error.str())

            try:
                self._producer.produce(self._topic, click.value, click.key, headers=given, on_delivery=confirmed)
            except BufferError:
                settle(at, "too many clicks wait for the broker")
            except KafkaException as error:
                settle(at, error.args[0].str())
        try:
            async with asyncio.timeout(self._confirm_s + _SLACK_S):
                await done
        except TimeoutError:
            pass
        with lock:
            return list(outcome)

    def _poll(self) -> None:
        asked = 0.0
        while not self._stopped.is_set():
            self._producer.poll(_POLL_S)
            if self.trouble and time.monotonic() - asked >= _ASK_S:
                self._ask()
                asked = time.monotonic()

    def _ask(self) -> None:
        """A broker that is back is not known to be before a click goes there: nobody may send one for hours."""
        if broker_answers(self._producer, _ANSWER_S):
            self.trouble = ""

    def _note(self, error: KafkaError) -> None:
        self.trouble = error.str()


def _set(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
