"""The whole demo, small: trainer, worker and shoppers as a user gets them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path
from queue import Queue
from typing import Any, cast

import pytest
from aiohttp import ClientResponse, ClientSession
from rich.console import Console

from demo.config import DemoConfig, PageConfig
from demo.errors import DemoError
from demo.page.page import Page
from demo.process import Stop
from demo.run import Demo, run_demo
from demo.trainer import TrainerConfig, TrainerService
from demo.view import PlainView, Training

pytestmark = pytest.mark.slow

pytest.importorskip("torch", reason="the demo trains: install nextclick[train]")
ROOT = Path(__file__).parents[2]
# Two trainings: a third would begin if the second were to be seen for as long as is between two
SMALL = DemoConfig(
    seconds=3.0,
    live=False,
    items=200,
    history_sessions=3_000,
    clicks_per_s=100.0,
    trainer=TrainerConfig(
        counts="off", max_seconds=2.0, fresh_every_s=8.0, flush_s=0.2, baselines="popularity", slack=1.0, tolerance=1.0
    ),
    linger_s=1.0,
)


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name `folder`, there or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (
                (entry / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
                for name in ("cmdline", "environ")
            )
        except OSError:
            continue
        if str(folder) in line + environment:
            found.append(line)
    return found


class Visitor:
    """Whoever looks at the page of a demo, from before there is a model, switches an item off, and kills the worker."""

    def __init__(self) -> None:
        self._pages: Queue[Page] = Queue()
        self._list: list[str] = []  # that was heard last
        self.done = threading.Event()

    def page(self, *args: Any, **options: Any) -> Page:
        """In the place of the class: the same, and this one hears of it."""
        made = Page(*args, **options)
        self._pages.put(made)
        return made

    async def visit(self) -> None:
        """A click before any worker is there, and one after it was killed: both are answered."""
        try:
            await self._visit()
        finally:
            self.done.set()

    async def _visit(self) -> None:
        page = await asyncio.to_thread(self._pages.get, True, 60.0)
        while not page.address:
            await asyncio.sleep(0.05)
        async with ClientSession(page.address) as browser:
            text = await (await browser.get("/")).text()
            token = re.findall('page-token" content="([^"]+)"', text)[0]
            session = {"session": "visitor-00000001", "item": "i00003"}
            async with browser.get("/events", params={"session": session["session"]}) as stream:
                heard = _events(stream)
                stages = await self._click(browser, token, session, heard)
                assert "training" in stages, "it waited in the topic for a worker"
                assert await self._is_switched_off(browser, token, session, heard)
                killed = await (await browser.post("/actions/kill", json={"worker": 0}, headers=_with(token))).json()
                assert "kill -KILL" in killed["command"]
                await self._click(browser, token, session | {"item": "i00004"}, heard)

    async def _is_switched_off(
        self, browser: ClientSession, token: str, click: dict[str, str], heard: AsyncIterator[tuple[str, Any]]
    ) -> bool:
        """Switch the first item of the list off; whether lists come to be without it, click by click."""
        item = self._list[0]
        given = {"item": item, "available": False}
        done = await (await browser.post("/actions/item", json=given, headers=_with(token))).json()
        assert "items set" in done["command"], done
        for _ in range(40):
            await self._click(browser, token, click, heard)
            if item not in self._list:
                return True
            await asyncio.sleep(0.1)
        return False

    async def _click(
        self, browser: ClientSession, token: str, click: dict[str, str], heard: AsyncIterator[tuple[str, Any]]
    ) -> list[str]:
        """Click until the broker is there, then wait for the way of the click; the stages that came meanwhile."""
        while (answer := await browser.post("/clicks", json=click, headers=_with(token))).status == 503:
            await asyncio.sleep(0.1)
        place = await answer.json()
        stages = []
        async for name, data in heard:
            stages += [data["stage"]] if name == "stage" and data["stage"] != "log" else []
            self._list = [one[0] for one in data["items"]] if name == "list" else self._list
            if name == "way" and data["click"]["offset"] == place["offset"]:
                assert data["click"] == {"topic": "clicks", "partition": place["partition"], "offset": place["offset"]}
                return stages
        raise AssertionError(f"the stream ended before the list of {click}")


def _with(token: str) -> dict[str, str]:
    return {"X-Page-Token": token}


async def _events(stream: ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in stream.content:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


@pytest.mark.timeout(240)
def test_run_demo_answers_every_click_and_serves_two_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = threading.active_count()
    visitor = Visitor()
    monkeypatch.setattr("demo.page.page.Page", visitor.page)
    over = Demo._is_over  # not before the visitor has gone
    monkeypatch.setattr(Demo, "_is_over", lambda *given: visitor.done.is_set() and over(*given))
    with ThreadPoolExecutor(1) as pool:
        visit = pool.submit(asyncio.run, visitor.visit())
        result = run_demo(replace(SMALL, page=PageConfig(port=0, open=False)))
        visit.result(30)
    assert result.clicks == result.answered > 100
    assert result.models[:2] == ["1", "2"]
    assert result.experiment is not None
    assert result.experiment.variants.keys() == {"control", "newest"}
    assert result.hit_rate.model is not None
    assert result.hit_rate.popularity is not None
    assert result.hit_rate.model > result.hit_rate.popularity
    assert result.p50_ms is not None
    assert result.p99_ms is not None
    assert 0.0 < result.p50_ms <= result.p99_ms
    assert list(tmp_path.iterdir()) == []  # temporary files are gone
    assert processes_of(tmp_path) == []  # and so are the children
    assert threading.active_count() <= before + 1
    said = capfd.readouterr().err
    for part in ("model 2 is in service", "fresh training", "an experiment begins", "newest "):
        assert part in said


def test_demo_beyond_its_seconds_waits_for_the_fresh_model_for_a_while_and_says_so_once(tmp_path: Path) -> None:
    demo = Demo(DemoConfig(seconds=10.0, refresh_grace_s=50.0, linger_s=2.0, items=50), tmp_path, "nowhere", Stop())
    assert [demo._is_over(seconds, None) for seconds in (9.0, 10.0, 59.0, 60.0)] == [False, False, False, True]
    assert demo._events == ["10 s are over; shopping goes on until the fresh model serves, 50 s at most"]
    assert [demo._is_over(seconds, 8.0) for seconds in (9.9, 10.0)] == [False, True], "seen in time: ends in time"
    assert [demo._is_over(seconds, 20.0) for seconds in (21.9, 22.0)] == [False, True]
    assert len(demo._events) == 1


def interrupted(folder: Path, number: int) -> None:
    """Start the command, interrupt it in its training, and look at what it says and leaves."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "nextclick", "demo", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not any("model.trainer.child" in line for line in processes_of(folder)):
            assert time.monotonic() < deadline, "the training did not start"
            time.sleep(0.2)
        time.sleep(1.0)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 0, err
    found = json.loads(out.splitlines()[-1])
    assert (found["clicks"], found["answered"], found["models"]) == (0, 0, [])
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []


class Refused:
    """A trainer whose first model does not pass the gate."""

    def live(self) -> str:
        return ""

    def training(self) -> Training | None:
        return Training(label="version 1")

    def decisions(self) -> list[str]:
        return ["full training default-000001 refused: Recall@20 0.1, items-after 0.4"]


def test_demo_whose_first_model_is_refused_ends_and_says_why(tmp_path: Path) -> None:
    """The trainer would try again in hours."""
    demo = Demo(DemoConfig(items=50), tmp_path, "nowhere", Stop())
    with pytest.raises(DemoError, match="no first model to show: full training default-000001 refused"):
        demo._first_model(cast("TrainerService", Refused()), PlainView(Console(file=StringIO())), 0.0)


@pytest.mark.timeout(240)
def test_demo_interrupted_in_training_ends_with_the_figures_and_leaves_nothing(tmp_path: Path) -> None:
    """By either signal; both at once, as most of it is waiting."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    folders = [tmp_path / number.name for number in numbers]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(len(numbers)) as pool:
        list(pool.map(interrupted, folders, numbers))
