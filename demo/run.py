"""The demo from beginning to end: a shop, its history, a model learned from it, a worker, live shoppers, a fresh model.

Steps: 1 start the in-process cluster, 2 simulate the shop's log, 3 train on it, 4 start a worker, 5 let shoppers in,
6 meanwhile train again on what they click and promote it, 7 let no more clicks in, wait until all are answered, 8 stop
everything. Ctrl-C or SIGTERM at any step goes to 7; a second one goes straight to 8.
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.console import Console

from demo.broker import FETCH_WAIT_MS, LocalCluster
from demo.children import Child, free_port, wait_ready
from demo.click_log import ClickLog, write_click_log
from demo.config import DemoConfig
from demo.join import ClickJoin
from demo.process import Stop, signals, switch_interval
from demo.refresh import Refresher
from demo.result import DemoResult, result_of
from demo.shop import Shop
from demo.shoppers import LiveShoppers
from demo.simulator import ShopperConfig, Shoppers
from demo.spotlight import Spotlight
from demo.stock import ShopConfig
from demo.training import TrainerRun
from demo.view import LiveView, PlainView, Snapshot, Training, View
from stream.topic_names import Topics

__all__ = ["Demo", "run_demo"]

GROUP = "demo"
_TICK_S = 0.25  # between two pictures
_SWITCH_S = 0.0005  # Python's default of 5 ms between threads would show in the latencies measured here
_DAY_MS = 86_400_000


def run_demo(config: DemoConfig) -> DemoResult:
    """Run the demo until `seconds` are over or a signal comes. DemoError if a part fails; nothing is left behind."""
    console = Console(stderr=True)
    with ExitStack() as stack:
        stop = stack.enter_context(signals())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextclick-demo-")))
        topics = Topics()
        cluster = stack.enter_context(LocalCluster(topics.all(GROUP)))  # 1
        demo = Demo(config, folder, cluster.bootstrap, stop)
        view = LiveView(console, demo.describe) if config.live else PlainView(console)
        stack.enter_context(view)
        return demo.run(view)


class Demo:
    """The steps, one method each."""

    def __init__(self, config: DemoConfig, folder: Path, bootstrap: str, stop: Stop) -> None:
        self._config, self._folder, self._bootstrap, self._stop = config, folder, bootstrap, stop
        self._shop = Shop(ShopConfig(items=config.items, seed=config.seed))
        self._item_ids = self._shop.item_ids()
        self._number = {item: number for number, item in enumerate(self._item_ids)}
        self._registry, self._checkpoint = folder / "registry", folder / "checkpoint-1"
        self._events: list[str] = []
        self._waits = False  # for the fresh model, beyond the seconds asked for
        self._history = ClickLog(*(np.empty(0, np.int64) for _ in range(3)))
        self._spotlight = Spotlight()
        self._join = ClickJoin((), self._spotlight)

    def describe(self, item: str) -> str:
        """An item id in words."""
        number = self._number.get(item)
        return item if number is None else self._shop.describe(number)

    def run(self, view: View) -> DemoResult:
        """All steps; the figures of what was reached."""
        began = time.monotonic()
        seconds = 0.0
        self._simulate()  # 2
        if self._train(view):  # 3
            seconds = self._serve(view, began)  # 4 to 8
        return result_of(self._join.figures(), seconds)

    def _simulate(self) -> None:
        config = self._config
        span_ms = config.history_days * _DAY_MS
        habits = ShopperConfig(sessions_per_s=config.history_sessions / span_ms * 1000.0, seed=config.seed + 1)
        log = Shoppers(self._shop, habits).sessions(config.history_sessions)
        log = log._replace(ts=log.ts - log.ts[-1] + time.time_ns() // 1_000_000)  # it ends now
        counts = np.bincount(log.item, minlength=config.items)
        popular = [self._item_ids[number] for number in np.argsort(-counts, kind="stable")[: config.k]]
        self._history, self._join = log, ClickJoin(popular, self._spotlight)
        write_click_log(self._folder / "history.parquet", self._item_ids, log)
        size = f"{config.history_sessions:,} sessions, {len(log.ts):,} clicks"
        self._say(f"a shop of {config.items:,} items and its log: {size}")

    def _train(self, view: View) -> bool:
        """Train the first model; False if the demo was stopped before it was there."""
        began = time.monotonic()
        run = TrainerRun(
            "training TRON",
            self._config.trainer,
            data=self._folder / "history.parquet",
            registry=self._registry,
            checkpoint=self._checkpoint,
            scratch=self._folder,
        )
        with run.child as child:
            while child.running and not self._stop.event.wait(_TICK_S):
                view.show(self._snapshot(training=run.progress()))
            if self._stop.event.is_set():
                return False
            trained = run.result()
        self._say(f"model {trained.version} trained in {time.monotonic() - began:.0f} s: {trained.headline()}")
        view.show(self._snapshot())
        return True

    def _serve(self, view: View, began: float) -> float:
        """Worker and shoppers; return how many seconds clicks were sent."""
        port = free_port()
        with Child("worker", self._worker_args(port), scratch=self._folder) as worker:  # 4
            url = f"http://127.0.0.1:{port}/health"
            if not wait_ready(worker, url, timeout_s=self._config.ready_s, stopped=self._stop.event):
                return 0.0
            self._say(f"a worker serves, {time.monotonic() - began:.0f} s after the start; the shoppers come")
            shoppers = LiveShoppers(self._bootstrap, self._live_shoppers(), self._join)
            try:
                with switch_interval(_SWITCH_S):
                    shoppers.start()
                    self._watch(view, worker, shoppers)  # 5, 6
                    self._drain(shoppers, worker, view)  # 7
            finally:
                shoppers.close()  # 8
            return shoppers.seconds

    def _watch(self, view: View, worker: Child, shoppers: LiveShoppers) -> None:
        """Show what happens until it is time to stop."""
        refresher = Refresher(
            self._config.refresh,
            self._config.trainer,
            bootstrap=self._bootstrap,
            folder=self._folder,
            registry=self._registry,
            checkpoint=self._checkpoint,
            item_ids=self._item_ids,
            history=self._history,
            say=self._say,
        )
        seen_at: float | None = None
        try:
            while not self._stop.event.wait(_TICK_S):
                worker.check_running()
                shoppers.check()
                refresher.tick(shoppers.seconds, shoppers.flowed, self._join.figures().models)
                if refresher.served and seen_at is None:
                    seen_at = shoppers.seconds
                view.show(self._snapshot(shoppers, refresher.progress))
                if self._is_over(shoppers.seconds, seen_at):
                    break
        finally:
            refresher.stop()

    def _is_over(self, seconds: float, seen_at: float | None) -> bool:
        limit = self._config.seconds
        if limit is None or seconds < limit:
            return False
        if seen_at is None:
            if not self._waits:
                self._waits = True
                grace = self._config.refresh_grace_s
                self._say(f"{limit:g} s are over; shopping goes on until the fresh model serves, {grace:g} s at most")
            return seconds >= limit + self._config.refresh_grace_s
        return seconds >= seen_at + self._config.linger_s

    def _drain(self, shoppers: LiveShoppers, worker: Child, view: View) -> None:
        def go_on() -> bool:
            worker.check_running()
            return not self._stop.hurry.is_set()

        left = shoppers.drain(self._config.drain_s, go_on)
        clicks = self._join.figures().clicks
        self._say(f"{left:,} of {clicks:,} clicks were not answered" if left else f"all {clicks:,} clicks are answered")
        view.show(self._snapshot(shoppers))

    def _live_shoppers(self) -> Shoppers:
        """Shoppers with sessions of their own numbers, after those of the history."""
        config = self._config
        mean_clicks = ShopperConfig().mean_clicks
        habits = ShopperConfig(
            sessions_per_s=config.clicks_per_s / mean_clicks, think_s=config.think_s, seed=config.seed + 2
        )
        return Shoppers(self._shop, habits, first_session=config.history_sessions)

    def _worker_args(self, port: int) -> list[str]:
        options = {
            "bootstrap-servers": self._bootstrap,
            "registry": str(self._registry),
            "group": GROUP,
            "k": str(self._config.k),
            "web-port": str(port),
            "threads": "1",  # the other core is the shoppers' and the trainer's
            "log-level": "warning",
            "kafka": f"fetch.wait.max.ms={FETCH_WAIT_MS}",
        }
        return ["worker", *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _say(self, text: str) -> None:
        self._events.append(text)

    def _snapshot(self, shoppers: LiveShoppers | None = None, training: Training | None = None) -> Snapshot:
        if shoppers is None:
            return Snapshot(training=training, events=tuple(self._events))
        figures = self._join.figures()
        return Snapshot(
            seconds=shoppers.seconds,
            clicks_per_s=figures.clicks / max(shoppers.seconds, 1e-9),
            figures=figures,
            training=training,
            shopper=self._spotlight.session,
            rows=tuple(self._spotlight.rows),
            events=tuple(self._events),
        )
