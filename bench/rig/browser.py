"""A headless Chromium, driven over its DevTools protocol: what the tests of the page and its pictures need."""

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.rig.brokers.process import DeadlineExceeded, end_process

__all__ = ["Tab", "chromium", "open_tab"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # CI is root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_START_S = 60.0
_ANSWER_S = 60.0
_POLL_S = 0.1
_QUALITY = 84  # of a WebP: text stays sharp


def chromium() -> str | None:
    """The program of a Chromium of this machine."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Tab:
    """A page in the browser. Everything is for one event loop."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []  # that its scripts threw, and what it could not load

    async def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": given})
        while True:
            said = await self._socket.receive_json(timeout=_ANSWER_S)
            if said.get("id") == self._number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return dict(said["result"])
            self._note(said)

    async def go(self, address: str) -> None:
        """Load an address; it may not be there yet when this returns."""
        for domain in ("Page", "Runtime", "Log"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.navigate", url=address)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is; RuntimeError where it throws."""
        said = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise RuntimeError(f"{expression}: {said['exceptionDetails']}")
        return said["result"].get("value")

    async def until(self, expression: str, timeout_s: float = 60.0) -> Any:
        """Wait until an expression is true; what it is then. DeadlineExceeded."""
        deadline = time.monotonic() + timeout_s
        while not (found := await self._value_or_none(expression)):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"{expression} is not true after {timeout_s:g} s; errors: {self.errors}")
            await asyncio.sleep(_POLL_S)
        return found

    async def _value_or_none(self, expression: str) -> Any:
        """Of a page that is not there yet, nothing has a value."""
        try:
            return await self.value(expression)
        except RuntimeError:
            return None

    async def look(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """The size of its window, and what its user prefers."""
        scale = 2 if phone else 1
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, file: Path) -> None:
        """What is seen now, as WebP or PNG by the file's ending."""
        kind = {"format": "png"} if file.suffix == ".png" else {"format": "webp", "quality": _QUALITY}
        said = await self.ask("Page.captureScreenshot", **kind)
        file.write_bytes(base64.b64decode(said["data"]))

    async def press(self, key: str) -> None:
        """A key, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def _note(self, said: dict[str, Any]) -> None:
        given = said.get("params", {})
        if said.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"])[:500])
        elif said.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")


@asynccontextmanager
async def open_tab(program: str) -> AsyncIterator[Tab]:
    """A browser with one tab, while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port = await _port(Path(folder) / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            end_process(process)


async def _port(file: Path, process: "subprocess.Popen[bytes]") -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Chromium ended with exit code {process.returncode}")
        if file.exists() and (lines := file.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(_POLL_S)
    raise DeadlineExceeded(f"Chromium did not start within {_START_S:g} s")
