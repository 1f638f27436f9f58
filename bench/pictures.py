"""Pictures of the demo's page: a demo as anybody starts it, a visitor who clicks, and an operator at the buttons.

    python -m bench.pictures [--folder docs/pictures] [--json]

Needs a Chromium (Debian: chromium). The pictures start-0, -10, -30 and -60 are named after the seconds since the demo
was started; what the page must show in between is waited for, so a run is also a test of the whole. It says when the
page and the first list of a model were there, and how many of the clicks were answered, those during the kill as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.rig.browser import Tab, chromium, open_tab

DESKTOP, TALL, PHONE = (1280, 860), (1280, 1460), (390, 844)
MOMENTS = (0, 10, 30, 60)  # seconds
FIRST_CLICK_S, THINK_S, CLICKS = 4.0, 1.5, 5
LIVE = "document.getElementById('took') !== null"  # the list of a worker: it says whose
SETTLE_S = 0.6  # until what moves has come to rest
END_S = 90.0


class Visit:
    """A visitor at the page of a demo that was started at `began`, on the monotonic clock."""

    def __init__(self, tab: Tab, began: float, folder: Path) -> None:
        self._tab, self._began, self._folder = tab, began, folder
        self._clicks, self._next = 0, FIRST_CLICK_S
        self.figures: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Since the start of the demo."""
        return round(time.monotonic() - self._began, 1)

    async def opened(self, address: str) -> None:
        """The page with its products."""
        await self._tab.look(*DESKTOP)
        await self._tab.go(address)
        await self._tab.until("document.querySelectorAll('#grid .card').length > 20")
        self.figures["page_s"] = self.seconds

    async def shop_until(self, seconds: float) -> None:
        """Click now and then: before there is a worker once, then what the list shows."""
        while self.seconds < seconds:
            if "first_list_s" not in self.figures and await self._tab.value(LIVE):
                self.figures["first_list_s"] = self.seconds
                self._next = self.seconds + 2 * THINK_S
            listed = "first_list_s" in self.figures
            if self.seconds >= self._next and self._clicks < (CLICKS if listed else 1):
                await self.press(f"#rail li:nth-child({(4, 2, 5, 3, 7)[self._clicks]}) .open")
                self._clicks, self._next = self._clicks + 1, self.seconds + THINK_S
            await asyncio.sleep(0.1)

    async def picture(
        self, name: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False, at: str | None = None
    ) -> None:
        """What is seen at that size, scrolled to the element `at`."""
        await self._tab.look(*size, dark=dark, phone=size == PHONE)
        await self._tab.value(f"document.querySelector('{at or 'body'}').scrollIntoView({{behavior: 'instant'}})")
        await asyncio.sleep(SETTLE_S)
        await self._tab.picture(self._folder / f"{name}.webp")
        await self._tab.look(*DESKTOP)

    async def press(self, selector: str) -> None:
        """A button, once it can be pressed."""
        found = f"document.querySelector(`{selector}`)"
        await self._tab.until(f"{found} && !{found}.disabled", 120.0)
        await self._tab.value(f"{found}.click()")

    async def wait(self, expression: str, timeout_s: float = 120.0) -> None:
        """Until the page shows it."""
        await self._tab.until(f"Boolean({expression})", timeout_s)


async def begin(visit: Visit, address: str) -> None:
    """The first minute."""
    await visit.opened(address)
    for moment in MOMENTS:
        await visit.shop_until(moment)
        await visit.picture(f"start-{moment}")
    while "first_list_s" not in visit.figures:
        await visit.shop_until(visit.seconds + 1.0)
    await visit.shop_until(visit.seconds + CLICKS * THINK_S + 2 * THINK_S)
    await visit.picture("shop-dark", dark=True)
    await visit.picture("phone", PHONE)


async def operate(visit: Visit) -> None:
    """Each button of the drawer, and what it does."""
    await visit.press("#rail .switch")
    await visit.wait("document.querySelectorAll('#off .row').length === 1")
    await visit.press("#models [data-key^=train]")
    await visit.wait("document.querySelectorAll('#models .row').length === 2", 300.0)
    for button, live in (("rollback", "1"), ("promote-2", "2")):
        await visit.press(f"#models [data-key^={button}]")
        await visit.wait(f"document.querySelector('#models .row:has(.badge)').textContent.startsWith('Model {live}')")
    await visit.press("#experiment [data-key=experiment-start]")
    await visit.wait("document.querySelector('#experiment').textContent.includes('The challenger has')", 120.0)
    await visit.shop_until(visit.seconds + 12.0)
    await visit.picture("operator", TALL)
    await visit.picture("phone-operator", PHONE, dark=True, at="#drawer")
    await visit.press("#experiment [data-key^=stop-promote]")
    await visit.wait("document.querySelector('#experiment select')")
    await visit.press("#off [data-switch]")
    await visit.press("#workers [data-key^=kill]")
    killed = visit.seconds
    await visit.wait("document.querySelector('#counts .waits')")
    await visit.shop_until(visit.seconds + 4.0)
    await visit.picture("killed", TALL)
    await visit.wait("document.querySelector('#workers .good') && !document.querySelector('#counts .waits')", 120.0)
    visit.figures["after_kill_s"] = round(visit.seconds - killed, 1)


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[str, float, dict[str, Any]]]:
    """`nextclick demo --page`: its address, when it was started, and after the block what it printed as JSON."""
    began, result = time.monotonic(), dict[str, Any]()
    command = (sys.executable, "-m", "nextclick", "demo", "--page", "--page-port", "0", "--json")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(60.0):
            address = await _address(process.stderr, said)
        reads = asyncio.create_task(_rest(process.stderr, said))
        yield address, began, result
        process.send_signal(signal.SIGINT)
        out = await asyncio.wait_for(process.stdout.read(), END_S)
        await reads
        result.update(json.loads(out.splitlines()[-1]))
    finally:
        await _ended(process)
        if not result:
            print("\n".join(said[-15:]), file=sys.stderr)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Ended in order, with its trainer and worker, where it runs still."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()


async def _address(lines: asyncio.StreamReader, said: list[str]) -> str:
    async for line in lines:
        said.append(line.decode().rstrip())
        if found := re.search(r"http://127\S+", said[-1]):
            return found[0]
    raise SystemExit("the demo ended before it served its page")


async def _rest(lines: asyncio.StreamReader, said: list[str]) -> None:
    async for line in lines:
        said.append(line.decode().rstrip())


async def take(program: str, folder: Path) -> dict[str, Any]:
    """All pictures into `folder`; what was seen on the way."""
    folder.mkdir(parents=True, exist_ok=True)
    async with demo() as (address, began, result), open_tab(program) as tab:
        visit = Visit(tab, began, folder)
        await begin(visit, address)
        await operate(visit)
        errors = tab.errors
    return visit.figures | {"clicks": result["clicks"], "answered": result["answered"], "errors": errors}


def main() -> int:
    """The exit code: 1 where the page threw an error, or a click was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    program = chromium()
    if program is None:
        raise SystemExit("there is no Chromium: apt-get install chromium")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order: neither browser nor demo is left behind
    found = asyncio.run(take(program, options.folder))
    sizes = {file.name: round(file.stat().st_size / 1024) for file in sorted(options.folder.glob("*.webp"))}
    if options.json:
        print(json.dumps(found | {"kib": sizes}))
    else:
        for name, value in found.items():
            print(f"{name:<14}{value}")
        print("\n".join(f"{options.folder / name}  {kib} KiB" for name, kib in sizes.items()))
    return 1 if found["errors"] or found["clicks"] != found["answered"] else 0


if __name__ == "__main__":
    sys.exit(main())
