"""The page beside a demo: a web server in a thread of its own, and what the demo tells it."""

import asyncio
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from demo.config import PageConfig
from demo.errors import DemoError
from demo.page.actions import Actions
from demo.page.app import PageApp
from demo.page.hub import Hub
from demo.page.lookout import Lookout
from demo.page.products import Products
from demo.page.state import State
from demo.page.visitors import Visitors
from demo.simulated.shop import Shop
from demo.system import Guest, System
from demo.view import Snapshot, View
from stream.messages.contract import Recommendation
from stream.serve.clicks import ClickWriter

__all__ = ["Page", "has_display"]

HOST = "127.0.0.1"
_START_S = 20.0
_END_S = 5.0


class Page(Guest):
    """While the block lasts. `say` gets its address; `address` has it too."""

    def __init__(self, config: PageConfig, shop: Shop, *, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._hub, self._state = Hub(), State()
        self._system: System | None = None
        self._visitors: Visitors | None = None
        self._writer: ClickWriter | None = None
        self._products = Products(shop)
        self._lookout = Lookout(self._hub)
        self._actions = Actions(self._opened)
        self._app = PageApp(self._products, self._hub, self._actions, self._told, lambda: self._visitors, self._note)
        self._thread = threading.Thread(target=self._serve, name="demo-page", daemon=True)
        self._ready, self._stop = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self.address = ""

    def __enter__(self) -> "Page":
        """Serve; DemoError where that can't be."""
        self._thread.start()
        self._ready.wait(_START_S)
        if not self.address:
            raise DemoError(f"the page can't be served: {self._failure or 'it takes too long'}")
        opens = self._config.open and has_display()
        self._say(f"the shop is at {self.address}{' and opens in your browser' if opens else ''}")
        if opens:
            threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lookout.stop()
        self._stop.set()
        self._thread.join()
        if self._writer is not None:
            self._writer.stop(1.0)

    # -- what the demo tells --

    def beside(self, view: View) -> View:
        return _Both(view, self)

    def opened(self, system: System) -> None:
        self._system = system
        topics = system.topics
        self._writer = writer = ClickWriter(system.bootstrap, topics.clicks, {"linger.ms": "0"})
        writer.start()
        tell = self._hub.tell
        self._visitors = Visitors(writer, system.join, tell, topics=(topics.clicks, topics.recommendations))
        self._lookout.start(system)

    def stage(self, name: str) -> None:
        self._hub.tell("stage", self._state.begin(name) | self._shop())

    def listed(self, found: Recommendation, partition: int, offset: int) -> None:
        if self._visitors is not None:
            self._visitors.listed(found, partition, offset)

    def show(self, snapshot: Snapshot) -> None:
        """The moment, and what has happened since the last one."""
        for text in self._state.news(snapshot):
            self._note(text, "demo")
        second = self._state.second(snapshot, time.monotonic())
        if second is not None:
            self._hub.tell("second", second)

    # -- what the page asks --

    def _opened(self) -> System:
        if self._system is None:
            raise DemoError("the broker starts: try again in a moment")
        return self._system

    def _note(self, text: str, kind: str) -> None:
        self._hub.tell("event", self._state.note(text, kind))

    def _told(self) -> dict[str, Any]:
        return self._state.told() | self._shop() | {"parts": self._lookout.newest, "off": sorted(self._actions.off)}

    def _shop(self) -> dict[str, Any]:
        system = self._system
        return (
            {"popular": [], "facts": {}} if system is None else {"popular": system.popular, "facts": dict(system.facts)}
        )

    # -- the server --

    def _serve(self) -> None:
        try:
            asyncio.run(self._run())
        except (OSError, DemoError) as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _run(self) -> None:
        runner = web.AppRunner(self._app.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            port = await self._listen(runner)
            self._hub.open(asyncio.get_running_loop())
            self.address = f"http://{HOST}:{port}/"
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)
        finally:
            self._hub.close()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        """On the port asked for, or on any that is free."""
        for port in (self._config.port, 0):
            try:
                await web.TCPSite(runner, HOST, port).start()
            except OSError:
                if port == 0:
                    raise
            else:
                break
        return int(runner.addresses[0][1])


class _Both:
    """Shows to a view and to the page."""

    def __init__(self, view: View, page: Page) -> None:
        self._view, self._page = view, page

    def __enter__(self) -> "_Both":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        self._view.show(snapshot)
        self._page.show(snapshot)


def has_display() -> bool:
    """Whether a browser could be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
