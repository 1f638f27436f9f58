"""The page's addresses: the page itself, its pictures, one stream of events, clicks, and the buttons."""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from demo.errors import DemoError
from demo.page.actions import Actions, Refused
from demo.page.guard import Guard
from demo.page.hub import Hub, event
from demo.page.products import Products
from demo.page.visitors import PREFIX, NotSent, Visitors
from stream.serve.http.answers import as_json, problem

__all__ = ["STATIC", "PageApp"]

STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SESSION = re.compile(PREFIX + r"[0-9a-f]{8,16}")
_MAX_BODY = 4096
_ALIVE_S = 10.0
_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class PageApp:
    """`told`: all that a browser is told when it comes. `visitors`: None before the broker is there."""

    def __init__(
        self,
        products: Products,
        hub: Hub,
        actions: Actions,
        told: Callable[[], dict[str, Any]],
        visitors: Callable[[], Visitors | None],
        note: Callable[[str, str], None],
    ) -> None:
        self._products, self._hub, self._actions = products, hub, actions
        self._told, self._visitors, self._note = told, visitors, note
        self.guard = Guard()
        self._files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in _TYPES}
        page = self._files.pop("index.html")
        self._page = page.replace(b"{{token}}", self.guard.token.encode())

    def app(self) -> web.Application:
        """With all of them."""
        app = web.Application(middlewares=[self.guard.handle], client_max_size=_MAX_BODY)
        app.router.add_get("/", self._index)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/products.json", self._list)
        app.router.add_get(r"/pictures/{category:\d+}-{brand:\d+}-{form:\d+}.svg", self._picture)
        app.router.add_get("/events", self._events)
        app.router.add_post("/clicks", self._click)
        app.router.add_post("/actions/{name}", self._act)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=self._page, content_type="text/html", charset="utf-8", headers=headers)

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        kind = _TYPES[Path(name).suffix]
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8", headers=headers)

    async def _list(self, request: web.Request) -> web.Response:
        return as_json(self._products.json)

    async def _picture(self, request: web.Request) -> web.Response:
        category, brand, form = (int(request.match_info[name][:6]) for name in ("category", "brand", "form"))
        try:
            body = self._products.picture(category, brand, form)
        except IndexError:
            raise web.HTTPNotFound from None
        return web.Response(body=body, content_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        session = _session(request.query.get("session"))
        answer = web.StreamResponse(headers=_EVENTS)
        await answer.prepare(request)
        visitors = self._visitors()
        with self._hub.listen(session) as queue:
            mine = {"session": session} if visitors is None else visitors.known(session)
            await answer.write(b"retry: 1000\n\n" + event("hello", self._told() | {"mine": mine}))
            try:
                while not self._hub.closed.is_set() or not queue.empty():
                    await answer.write(await _next(queue))
            except ConnectionError:
                pass  # the browser has gone
        return answer

    async def _click(self, request: web.Request) -> web.Response:
        given = await _body(request)
        item, visitors = given.get("item"), self._visitors()
        if item not in self._products.ids:
            raise web.HTTPUnprocessableEntity(reason="the shop has no such item")
        if visitors is None:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the broker starts: try again in a moment")
        try:
            return as_json(await visitors.click(_session(given.get("session")), str(item)))
        except NotSent as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the click was not confirmed: {error}")

    async def _act(self, request: web.Request) -> web.Response:
        name, given = request.match_info["name"], await _body(request)
        try:
            done = await asyncio.to_thread(self._actions.do, name, given)
        except Refused as error:
            return problem(HTTPStatus.CONFLICT, str(error))
        except DemoError as error:
            return problem(HTTPStatus.BAD_GATEWAY, str(error))
        self._note(f"{done['text']}", "button")
        return as_json(done)


async def _next(queue: "asyncio.Queue[bytes]") -> bytes:
    """The next event, or a sign of life."""
    try:
        async with asyncio.timeout(_ALIVE_S):
            return await queue.get()
    except TimeoutError:
        return b": alive\n\n"


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(await request.read() or b"{}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(reason="the body is no JSON") from error
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(reason="the body is no object")
    return found


def _session(given: object) -> str:
    if not isinstance(given, str) or not _SESSION.fullmatch(given):
        raise web.HTTPUnprocessableEntity(reason=f"a session is {PREFIX} and 8 to 16 hexadecimal digits")
    return given
