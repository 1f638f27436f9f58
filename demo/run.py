"""The demo from beginning to end: a shop, its log, a trainer, a worker, live shoppers, and fresh models by themselves.

Steps: 1 start the in-process cluster, 2 simulate the shop's log, 3 start a trainer on it and wait for the first model,
4 start a worker, 5 let shoppers in, 6 meanwhile the trainer learns what they click and announces fresh versions, and
the scoreboard counts whose lists are clicked, 7 let no more clicks in, wait until all are answered, 8 stop everything.
Ctrl-C or SIGTERM at any step goes to 7; a second one goes straight to 8.
"""

import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from demo.broker import FETCH_WAIT_MS, LocalCluster
from demo.children import wait_ready
from demo.click_log import write_click_log
from demo.comparison import Comparison
from demo.config import DemoConfig
from demo.errors import DemoError
from demo.hits import HitCounter
from demo.join import ClickJoin
from demo.process import Stop, signals, switch_interval
from demo.result import DemoResult, result_of
from demo.shoppers import LiveShoppers
from demo.simulated.shift import Shift, shifted
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers, recent_log
from demo.simulated.stock import ShopConfig
from demo.spotlight import Spotlight
from demo.system import Guest, System
from demo.trainer import TrainerService
from demo.view import LiveView, PlainView, Snapshot, Training, View
from demo.workers import Workers
from stream.topic_names import Topics

__all__ = ["Demo", "run_demo"]

GROUP = "demo"
_TICK_S = 0.25  # between two pictures
_MAX_EVENT = 160  # characters: two lines of a terminal
_SWITCH_S = 0.0005  # Python's default of 5 ms between threads would show in the latencies measured here


def run_demo(config: DemoConfig) -> DemoResult:
    """Run the demo until `seconds` are over or a signal comes. DemoError if a part fails; nothing is left behind."""
    console = Console(stderr=True)
    with ExitStack() as stack:
        stop = stack.enter_context(signals())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextclick-demo-")))
        topics = Topics()
        guest = stack.enter_context(_guest(config, console))
        guest.stage("broker")
        cluster = stack.enter_context(LocalCluster((*topics.all(GROUP), topics.items)))  # 1
        demo = Demo(config, folder, cluster.bootstrap, stop, guest)
        view: View = LiveView(console, demo.describe) if config.live else PlainView(console)
        return demo.run(guest.beside(stack.enter_context(view)))


def _guest(config: DemoConfig, console: Console) -> Guest:
    if config.page is None:
        return Guest()
    from demo.page.page import Page  # a web server, for those who want one

    return Page(config.page, Shop(ShopConfig(items=config.items, seed=config.seed)), say=console.print)


class _Shop(NamedTuple):
    """What runs while the shoppers are there."""

    workers: Workers
    trainer: TrainerService
    shoppers: LiveShoppers


class Demo:
    """The steps, one method each."""

    def __init__(
        self, config: DemoConfig, folder: Path, bootstrap: str, stop: Stop, guest: Guest | None = None
    ) -> None:
        self._guest = guest or Guest()
        self._config, self._folder, self._bootstrap, self._stop = config, folder, bootstrap, stop
        self._shop = Shop(ShopConfig(items=config.items, seed=config.seed))
        shift = self._shift(0)
        later = self._shop if shift is None else Shop(self._shop.config, shifted(self._shop.stock, shift))
        self._catalogue = dict(zip(later.item_ids(), map(later.describe, range(len(later.category))), strict=True))
        self._registry, self._history = folder / "registry", folder / "history.parquet"
        self._events: list[str] = []
        self._shifted = False
        self._waits = False  # for the fresh model, beyond the seconds asked for
        self._spotlight = Spotlight()
        self._join, self._hits = ClickJoin(self._spotlight), HitCounter()
        self._system = System(bootstrap, self._registry, folder, list(self._catalogue), join=self._join)

    def describe(self, item: str) -> str:
        """An item id in words."""
        return self._catalogue.get(item, item)

    def run(self, view: View) -> DemoResult:
        """All steps; the figures of what was reached."""
        began = time.monotonic()
        seconds = 0.0
        self._guest.opened(self._system)
        self._guest.stage("log")
        self._simulate()  # 2
        self._guest.stage("training")
        with self._trainer() as trainer:  # 3
            self._system.trainer = trainer
            if self._first_model(trainer, view, began):
                seconds = self._serve(trainer, view, began)  # 4 to 8
        return result_of(self._join.figures(), self._hits.now(), seconds)

    def _simulate(self) -> None:
        config = self._config
        log = recent_log(self._shop, config.history_sessions, config.history_days, config.seed + 1)
        names = self._shop.item_ids()
        write_click_log(self._history, names, log)
        counts = np.bincount(log.item, minlength=config.items)
        self._system.popular = [names[number] for number in np.argsort(-counts, kind="stable")[: config.k]]
        self._system.hits = self._hits = HitCounter(self._system.popular)
        self._system.facts = {"items": config.items, "sessions": config.history_sessions, "clicks": len(log.ts)}
        size = f"{config.history_sessions:,} sessions, {len(log.ts):,} clicks"
        self._say(f"a shop of {config.items:,} items and its log: {size}")

    def _trainer(self) -> TrainerService:
        return TrainerService(
            self._config.trainer,
            bootstrap=self._bootstrap,
            data=self._history,
            registry=self._registry,
            folder=self._folder,
        )

    def _first_model(self, trainer: TrainerService, view: View, began: float) -> bool:
        """Wait until the trainer has published one; False if the demo was stopped before. DemoError if it does not."""
        while not (version := trainer.live()):
            if self._stop.event.wait(_TICK_S):
                return False
            for refused in trainer.decisions():
                raise DemoError(f"there is no first model to show: {refused}")
            view.show(self._snapshot(training=trainer.training()))
        self._say(f"model {version}, {time.monotonic() - began:.0f} s after the start: {trainer.headline(version)}")
        view.show(self._snapshot())
        return True

    def _serve(self, trainer: TrainerService, view: View, began: float) -> float:
        """Worker and shoppers; return how many seconds clicks were sent."""
        self._guest.stage("worker")
        with Workers(self._worker_args, folder=self._folder) as workers:  # 4
            self._system.workers, first = workers, workers.add()
            url = f"http://127.0.0.1:{first.port}/health"
            if not wait_ready(first.child, url, timeout_s=self._config.ready_s, stopped=self._stop.event):
                return 0.0
            self._say(f"a worker serves, {time.monotonic() - began:.0f} s after the start; the shoppers come")
            shoppers = LiveShoppers(
                self._bootstrap, self._live_shoppers(), self._join, self._hits, on_list=self._guest.listed
            )
            self._guest.stage("shopping")
            try:
                with switch_interval(_SWITCH_S):
                    shoppers.start()
                    self._watch(_Shop(workers, trainer, shoppers), view)  # 5, 6
                    self._guest.stage("closing")
                    trainer.child.stop()
                    self._drain(shoppers, workers, view)  # 7
            finally:
                shoppers.close()  # 8
            return shoppers.seconds

    def _watch(self, shop: "_Shop", view: View) -> None:
        """Show what happens until it is time to stop."""
        shoppers, seen, seen_at = shop.shoppers, 1, None
        with Comparison(self._bootstrap, self._registry, self._folder) as comparison:
            while not self._stop.event.wait(_TICK_S):
                shop.workers.check_running()
                shoppers.check()
                comparison.check()
                models = self._join.figures().models
                for version in models[seen:]:
                    origin = shop.trainer.origin(version)
                    self._say(f"model {version} is in service, swapped in while the clicks flowed: {origin}")
                seen = max(seen, len(models))
                if seen_at is None and self._has_compared(models):
                    seen_at = shoppers.seconds
                self._say_shift(shoppers.seconds)
                for decided in shop.trainer.decisions():
                    self._say(textwrap.shorten(decided, _MAX_EVENT, placeholder=" …"))
                view.show(self._snapshot(shoppers, shop.trainer.training()))
                if self._is_over(shoppers.seconds, seen_at):
                    break
                if len(models) > 1 and self._config.compare and not comparison.begun:
                    comparison.begin(models[0])
                    self._say(f"an experiment begins: half of the sessions keep model {models[0]}, half get the newest")

    def _has_compared(self, models: Sequence[str]) -> bool:
        """Whether lists of the first and of a fresh model were clicked, or both served where none are compared."""
        return len(self._hits.now().by_variant if self._config.compare else models) > 1

    def _say_shift(self, seconds: float) -> None:
        after = self._config.shift_after
        if after is not None and seconds >= after and not self._shifted:
            self._shifted = True
            self._say("the shop shifts: other tastes, and a fifth of the items is replaced by new ones")

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

    def _drain(self, shoppers: LiveShoppers, workers: Workers, view: View) -> None:
        def go_on() -> bool:
            workers.check_running()
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
        shift = self._shift(time.time_ns() // 1_000_000)
        return Shoppers(self._shop, habits, first_session=config.history_sessions, shift=shift)

    def _shift(self, began_ms: int) -> Shift | None:
        """Of a shop that shoppers come to at `began_ms`."""
        after = self._config.shift_after
        return None if after is None else Shift(at_ms=began_ms + round(after * 1000.0), seed=self._config.seed)

    def _worker_args(self, port: int) -> list[str]:
        options = {
            "bootstrap-servers": self._bootstrap,
            "registry": str(self._registry),
            "group": GROUP,
            "k": str(self._config.k),
            "web-port": str(port),
            "threads": "1",  # the other core is the shoppers' and the trainer's
            "log-level": "warning",
            "broker-session-timeout-s": "6",  # the partitions of one that was killed are served soon
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
            hits=self._hits.now(),
            training=training,
            shopper=self._spotlight.session,
            rows=tuple(self._spotlight.rows),
            events=tuple(self._events),
        )
