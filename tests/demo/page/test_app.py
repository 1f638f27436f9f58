"""The page's server: what it gives to whom, and what it refuses."""

import asyncio
import json
import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from demo.errors import DemoError
from demo.page.actions import Refused
from demo.page.app import STATIC, PageApp
from demo.page.hub import Hub
from demo.page.products import Products
from demo.simulated.shop import Shop
from demo.simulated.stock import ShopConfig

ROOT = Path(__file__).parents[3]
ME = "visitor-00000001"
Client = TestClient[Any, Any]


class FakeVisitors:
    def __init__(self) -> None:
        self.clicks: list[tuple[str, str]] = []

    async def click(self, session: str, item: str) -> dict[str, Any]:
        self.clicks.append((session, item))
        return {"partition": 1, "offset": 2}

    def known(self, session: str) -> dict[str, Any]:
        return {"session": session, "list": None}


class FakeActions:
    def __init__(self) -> None:
        self.did: list[tuple[str, Any]] = []

    def do(self, name: str, given: Any) -> dict[str, str]:
        if name == "refused":
            raise Refused("not now")
        if name == "failed":
            raise DemoError("exit code 1")
        self.did.append((name, given))
        return {"command": "nextclick", "text": "done"}


class Site:
    """The server with fakes behind it."""

    def __init__(self) -> None:
        self.visitors: FakeVisitors | None = FakeVisitors()
        self.actions, self.hub = FakeActions(), Hub()
        self.noted: list[str] = []
        self.page = PageApp(
            Products(Shop(ShopConfig(items=60))),
            self.hub,
            self.actions,  # type: ignore[arg-type]
            lambda: {"stage": "log"},
            lambda: self.visitors,  # type: ignore[arg-type,return-value]
            lambda text, kind: self.noted.append(text),
        )

    def run(self, use: Callable[[Client], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            async with TestClient(TestServer(self.page.app())) as client:
                self.hub.open(asyncio.get_running_loop())
                await use(client)

        asyncio.run(all_of_it())

    async def post(self, client: Client, path: str, body: object, **headers: str) -> ClientResponse:
        given = {"X-Page-Token": self.page.guard.token} | {
            name.replace("_", "-"): said for name, said in headers.items()
        }
        return await client.post(path, data=json.dumps(body), headers=given)


@pytest.fixture
def site() -> Site:
    return Site()


def test_page_has_its_token_and_loads_nothing_from_elsewhere(site: Site) -> None:
    async def use(client: Client) -> None:
        answer = await client.get("/")
        text = await answer.text()
        assert f'content="{site.page.guard.token}"' in text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
        assert len(named) >= 5
        for name in named:
            assert (await client.get(name)).status == 200

    site.run(use)


def test_files_name_no_other_host_and_only_modules_that_there_are() -> None:
    for file in STATIC.iterdir():
        text = file.read_text().replace("http://www.w3.org/", "")
        assert "://" not in text, f"{file.name} asks for something from elsewhere"
        for module in re.findall(r'from "\./([^"]+)"', text):
            assert (STATIC / module).is_file()
        assert len(text.splitlines()) < 300


def test_wheel_holds_every_file_of_the_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["demo.page"]
    package = STATIC.parent
    assert {file for pattern in patterns for file in package.glob(pattern)} == set(STATIC.iterdir())


def test_products_and_pictures_are_served(site: Site) -> None:
    async def use(client: Client) -> None:
        told = await (await client.get("/products.json")).json()
        assert len(told["items"]) == 60
        _, category, brand, _, form = told["items"][0]
        picture = await client.get(f"/pictures/{category}-{brand}-{form}.svg")
        assert picture.content_type == "image/svg+xml"
        for path in ("/pictures/99-0-0.svg", "/static/app.py", "/static/..%2Fapp.py", "/nothing"):
            assert (await client.get(path)).status == 404

    site.run(use)


def test_click_goes_to_its_session(site: Site) -> None:
    async def use(client: Client) -> None:
        answer = await site.post(client, "/clicks", {"session": ME, "item": "i00007"})
        assert await answer.json() == {"partition": 1, "offset": 2}
        for body in ({"session": ME, "item": "i99999"}, {"session": "s0000001", "item": "i00007"}, {"item": "i00007"}):
            assert (await site.post(client, "/clicks", body)).status == 422, "a session of somebody else, or no item"
        assert (await site.post(client, "/clicks", ["i00007"])).status == 400
        site.visitors = None
        assert (await site.post(client, "/clicks", {"session": ME, "item": "i00007"})).status == 503

    visitors = site.visitors
    site.run(use)
    assert visitors is not None
    assert visitors.clicks == [(ME, "i00007")]


def test_button_answers_what_was_run_or_why_not(site: Site) -> None:
    async def use(client: Client) -> None:
        answer = await site.post(client, "/actions/promote", {"version": "1"})
        assert await answer.json() == {"command": "nextclick", "text": "done"}
        for name, status, words in (("refused", 409, "not now"), ("failed", 502, "exit code 1")):
            answer = await site.post(client, f"/actions/{name}", {})
            assert (answer.status, (await answer.json())["detail"]) == (status, words)

    site.run(use)
    assert site.actions.did == [("promote", {"version": "1"})]
    assert site.noted == ["done"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Page_Token": "guessed"},
        {"X_Page_Token": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "shop.example:8087"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_another_page_can_press_no_button(site: Site, headers: dict[str, str]) -> None:
    async def use(client: Client) -> None:
        for path in ("/actions/kill", "/clicks"):
            answer = await site.post(client, path, {"worker": 0}, **headers)
            assert answer.status == 403

    site.run(use)
    assert site.actions.did == []


def test_name_that_was_made_to_lead_here_is_shown_nothing(site: Site) -> None:
    async def use(client: Client) -> None:
        for path in ("/", "/products.json", f"/events?session={ME}"):
            assert (await client.get(path, headers={"Host": "evil.example"})).status == 403
        assert (await client.get("/", headers={"Host": "localhost:9"})).status == 200, "a port that was forwarded"
        assert (await client.get("/actions/kill")).status == 405

    site.run(use)


def test_stream_begins_with_all_there_is_and_goes_on_with_what_concerns_the_session(site: Site) -> None:
    async def use(client: Client) -> None:
        assert (await client.get("/events?session=s0000001")).status == 422
        async with client.get(f"/events?session={ME}") as answer:
            lines = answer.content
            assert await lines.readuntil(b"\n\n") == b"retry: 1000\n\n"
            first = await lines.readuntil(b"\n\n")
            assert first.startswith(b"event: hello\ndata: ")
            assert json.loads(first.split(b"data: ")[1]) == {"stage": "log", "mine": {"session": ME, "list": None}}
            site.hub.tell("list", {"of": "another"}, "visitor-99999999")
            site.hub.tell("list", {"of": "me"}, ME)
            site.hub.tell("second", {"clicks": 1})
            assert await lines.readuntil(b"\n\n") == b'event: list\ndata: {"of":"me"}\n\n'
            assert await lines.readuntil(b"\n\n") == b'event: second\ndata: {"clicks":1}\n\n'
            site.hub.close()
            assert await lines.readuntil(b"\n\n") == b"event: over\ndata: {}\n\n"
            assert await lines.read() == b""

    site.run(use)


def test_browser_that_takes_nothing_loses_the_oldest_events_alone() -> None:
    async def use() -> None:
        hub = Hub()
        hub.open(asyncio.get_running_loop())
        with hub.listen(ME) as queue:
            for number in range(300):
                hub.tell("second", number)
            await asyncio.sleep(0)
            held = [queue.get_nowait() for _ in range(queue.qsize())]
        assert (len(held), held[-1]) == (200, b"event: second\ndata: 299\n\n")
        assert len(hub) == 0

    asyncio.run(use())
