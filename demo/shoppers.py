"""Live shoppers: they click by their own clock, however long answers take, and look at the lists that come back."""

import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer

from demo.broker import FETCH_WAIT_MS
from demo.click_log import ClickLog, session_id
from demo.errors import DemoError
from demo.hits import HitCounter
from demo.join import ClickJoin, Ticket
from demo.simulated.simulator import Shoppers
from stream.kafka.clients import assign_all, build_client, consumer_options, producer_options
from stream.messages.contract import Click, Recommendation, decode_recommendation, encode
from stream.topic_names import Topics

__all__ = ["LiveShoppers"]

BEFORE_MS = 30_000  # shoppers have been there for so long when the first click is sent: the rate is steady at once
_NAP_S = 0.02  # the longest sleep between two looks at the stop flag
_FORGET_EVERY_S = 10.0


class LiveShoppers:
    """Two threads, one that clicks and one that reads recommendations. Failures are raised by `check`.

    `on_list` hears of each list and its place in the topic, in the thread that reads: another reader would be one more
    for the in-process cluster.
    """

    def __init__(
        self,
        bootstrap: str,
        shoppers: Shoppers,
        join: ClickJoin,
        hits: HitCounter,
        topics: Topics = Topics(),
        *,
        on_list: Callable[[Recommendation, int, int], None] | None = None,
    ) -> None:
        self._on_list = on_list
        self._shoppers, self._join, self._hits, self._topics = shoppers, join, hits, topics
        self._item_ids = shoppers.later.item_ids()
        self._producer: Producer = build_client(Producer, producer_options(bootstrap, {"linger.ms": "0"}))
        wait = {"fetch.wait.max.ms": str(FETCH_WAIT_MS)}
        self._consumer: Consumer = build_client(Consumer, consumer_options(bootstrap, wait, group="nextclick-demo"))
        self._halt_clicks, self._halt_lists = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._threads = {
            "clicks": threading.Thread(target=self._guard, args=(self._click,), name="demo-clicks", daemon=True),
            "lists": threading.Thread(target=self._guard, args=(self._look,), name="demo-lists", daemon=True),
        }
        self._started_at = self._stopped_at = 0.0

    def start(self) -> None:
        """Begin to shop."""
        if not assign_all(self._consumer, self._topics.recommendations, from_beginning=True):
            raise DemoError(f"the topic {self._topics.recommendations} is missing")
        self._started_at = time.monotonic()
        for thread in self._threads.values():
            thread.start()

    @property
    def seconds(self) -> float:
        """How long clicks have been sent, or were."""
        return (self._stopped_at or time.monotonic()) - self._started_at if self._started_at else 0.0

    def check(self) -> None:
        """Raise DemoError if a thread failed or a click was refused."""
        if self._failure is not None:
            raise DemoError(f"the shoppers failed: {self._failure}") from self._failure

    def drain(self, timeout_s: float, go_on: Callable[[], bool] = lambda: True) -> int:
        """Stop clicking, wait until every click is answered or `go_on` says no; return how many are not answered."""
        self.stop_clicking()
        deadline = time.monotonic() + timeout_s
        while self._join.pending and time.monotonic() < deadline and go_on():
            self.check()
            time.sleep(_NAP_S)
        return self._join.pending

    def stop_clicking(self) -> None:
        """Send no more clicks; those sent are delivered. May be repeated."""
        self._halt_clicks.set()
        self._end("clicks")
        self._stopped_at = self._stopped_at or time.monotonic()

    def close(self) -> None:
        """Stop both threads and leave the broker. May be repeated."""
        self.stop_clicking()
        self._halt_lists.set()
        self._end("lists")
        self._consumer.close()

    def _end(self, name: str) -> None:
        if self._threads[name].is_alive():
            self._threads[name].join()

    def _guard(self, work: "partial[None]") -> None:
        try:
            work()
        except Exception as error:  # handed to `check`: a thread has nobody else to tell
            self._failure = error

    def _click(self) -> None:
        """Send each click when it is due; a late one at once, so that a slow answer slows nobody down."""
        offset_s = time.time() - time.monotonic()
        now_ms = time.time_ns() // 1_000_000
        for log in self._shoppers.live(now_ms - BEFORE_MS):
            log = ClickLog(*(column[log.ts >= now_ms] for column in log))
            for number, item, ts in zip(log.session.tolist(), log.item.tolist(), log.ts.tolist(), strict=True):
                if not self._wait_until(ts / 1000.0 - offset_s):
                    self._producer.flush(10.0)
                    return
                self._send(number, item, ts)
            if not self._wait_until(time.monotonic()):
                break

    def _wait_until(self, due: float) -> bool:
        """Serve delivery reports until monotonic time `due`; False once asked to stop."""
        while (left := due - time.monotonic()) > 0 and not self._halt_clicks.is_set():
            self._producer.poll(min(left, _NAP_S))
        self._producer.poll(0)
        return not self._halt_clicks.is_set()

    def _send(self, number: int, item: int, ts: int) -> None:
        session = session_id(number)
        click = Click(session_id=session, item_id=self._item_ids[item], ts=ts)
        ticket = self._join.sent(session, self._item_ids[item], time.monotonic())
        report = partial(self._delivered, ticket, click)
        self._producer.produce(self._topics.clicks, encode(click), session.encode(), on_delivery=report)

    def _delivered(self, ticket: Ticket, click: Click, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = DemoError(f"a click was not delivered: {error.str()}")
            return
        self._join.located(ticket, message.offset() or 0)
        self._hits.clicked(click, message.partition() or 0, message.offset() or 0, message.timestamp()[1])

    def _look(self) -> None:
        """Hand every recommendation to the join as it comes."""
        forget_at = time.monotonic() + _FORGET_EVERY_S
        while not self._halt_lists.is_set():
            for message in self._consumer.consume(256, timeout=0.0) or [self._consumer.poll(_NAP_S)]:
                if message is not None and message.error() is None:
                    self._take(message, time.monotonic())
            if time.monotonic() > forget_at:
                self._join.forget_idle(time.monotonic())
                forget_at = time.monotonic() + _FORGET_EVERY_S

    def _take(self, message: Message, at: float) -> None:
        try:
            found = decode_recommendation(message.value() or b"")
        except msgspec.MsgspecError as error:
            raise DemoError(f"a recommendation can't be read: {error}") from error
        partition, offset = message.partition() or 0, message.offset() or 0
        if self._on_list is not None:
            self._on_list(found, partition, offset)
        self._hits.listed(found, partition, offset)
        items = [entry.item_id for entry in found.items]
        self._join.answered(found.session_id, items, found.model, found.fallback, found.source.offset, at)
