"""The whole page on an in-process cluster: over HTTP, and in a headless Chromium as a visitor sees it."""

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest

from bench.rig.browser import Tab, chromium, open_tab
from demo.config import PageConfig
from demo.page import page as module
from demo.page.page import Page, has_display
from tests.demo.page.shop import SHOP, open_shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> str:
    found = chromium()
    if found is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium: apt-get install chromium")
    assert found is not None, "CI installs Chromium"
    return found


def test_address_is_said_and_a_port_that_is_taken_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    monkeypatch.setattr(module, "has_display", lambda: True)
    monkeypatch.setattr("webbrowser.open", lambda address: opened.set())
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Page(PageConfig(port=port), SHOP, say=said.append) as page:
            assert page.address.startswith("http://127.0.0.1:")
            assert f":{port}/" not in page.address
            assert said == [f"the shop is at {page.address} and opens in your browser"]
            assert opened.wait(10)


def test_display_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()


@pytest.mark.timeout(240)
def test_visitor_clicks_and_sees_the_list_change_and_the_way_of_the_click(tmp_path: Path, browser: str) -> None:
    with open_shop(tmp_path) as page:
        asyncio.run(_visit(page.address, browser))


async def _visit(address: str, browser: str) -> None:
    async with open_tab(browser) as tab:
        await tab.look(1280, 900)
        await tab.go(address)
        await tab.until(
            "document.querySelectorAll('#grid .card').length > 20 && document.documentElement.dataset.ready"
        )
        await tab.value("document.querySelector('#grid [data-item=i00007]').click()")
        await tab.until("document.querySelector('#rail [data-item]')?.dataset.item === 'i00008'")
        assert await tab.value("document.getElementById('next-title').textContent") == "Next for you"
        await tab.until("document.getElementById('next-why').textContent.includes('ms from click to list')")
        assert "by model 7" in await tab.value("document.getElementById('next-why').textContent")
        way = await tab.value("document.getElementById('way').textContent")
        for part in ("Your click", "clicks · partition", "offset", "Model 7", "recommendations · partition"):
            assert part in way
        assert "New list by model 7" in await tab.value("document.querySelector('[aria-live]#said').textContent")
        await _by_keyboard(tab)
        await tab.until("document.querySelectorAll('#charts svg').length === 4")
        loaded = await tab.value("performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)")
        assert set(loaded) == {address.rstrip("/")}
        await tab.look(390, 844, phone=True)
        assert await tab.value("document.documentElement.scrollWidth") == 390, "nothing is wider than a phone"
        await _refused_button(tab)
        assert tab.errors == []


async def _by_keyboard(tab: Tab) -> None:
    """The next list without a mouse: Tab to its first product, and Enter."""
    await tab.value("document.getElementById('next').focus()")
    await tab.press("Tab")
    assert await tab.value("document.activeElement.dataset.item") == "i00008"
    assert await tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    await tab.press("Enter")
    await tab.until("document.querySelector('#rail [data-item]').dataset.item === 'i00009'")
    assert await tab.value("document.querySelectorAll('#trail .hit').length") == 1, "it was in the list"


async def _refused_button(tab: Tab) -> None:
    """A button's refusal is said in words. A trainer there is none."""
    unnamed = (
        "[...document.querySelectorAll('button')].filter((one) => !(one.ariaLabel || one.textContent.trim())).length"
    )
    assert await tab.value(unnamed) == 0, "every button has a name"
    said = await tab.value(
        "import('/static/api.js').then((api) => api.post('/actions/train', {}).catch((error) => error.message))"
    )
    assert said == "the trainer does not run yet"
    tab.errors[:] = [one for one in tab.errors if "409" not in one]
