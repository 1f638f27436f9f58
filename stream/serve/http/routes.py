"""The addresses of the read API, each a short function of what it asks for."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from export.errors import ConfigError
from export.id_lists import given_id
from stream.errors import BadClick
from stream.ops.metrics import CONTENT_TYPE
from stream.serve.clicks import Confirmed, Refused, Sound, judge, split_body
from stream.serve.config import ServeConfig
from stream.serve.errors import BadBody, SourceAway
from stream.serve.figures import ServeHealth, ServeMetrics
from stream.serve.http.answers import ClicksAnswer, as_json, problem
from stream.serve.http.guard import Guard
from stream.serve.http.openapi import openapi
from stream.serve.http.updates import Updates, given_session
from stream.serve.sources.lists import Lists
from stream.serve.sources.popular import PopularLists
from stream.serve.spans import ClickSender

__all__ = ["Routes"]

_BODY_S = 10.0  # for a client to send its body
_AGAIN = {"Retry-After": "1"}


class Routes:
    """Of one server; everything runs in the event loop."""

    def __init__(
        self,
        config: ServeConfig,
        lists: Lists,
        clicks: ClickSender,
        updates: Updates,
        guard: Guard,
        metrics: ServeMetrics,
        health: Callable[[], ServeHealth],
        popular: PopularLists | None = None,
    ) -> None:
        """popular: what sessions without a list get; None: 404."""
        self._popular = popular
        self._config, self._lists, self._clicks, self._updates = config, lists, clicks, updates
        self._guard, self._metrics, self._health = guard, metrics, health
        self._openapi = openapi(config)

    def app(self) -> web.Application:
        """The application that has them all."""
        app = web.Application(middlewares=[self._guard.handle], client_max_size=self._config.max_body_kb * 1024)
        app.router.add_get("/recommendations/{session}", self._newest, name="recommendations")
        app.router.add_get("/recommendations/{session}/updates", self._update, name="updates")
        app.router.add_get("/similar/{item}", self._similar, name="similar")
        app.router.add_post("/clicks", self._click, name="clicks")
        app.router.add_get("/openapi.json", self._describe, name="openapi")
        app.router.add_get("/health", self._tell, name="health")
        app.router.add_get("/health/live", self._live, name="live")
        app.router.add_get("/metrics", self._show, name="metrics")
        return app

    async def _newest(self, request: web.Request) -> web.Response:
        placement = request.query.get("placement", "")
        try:
            session = given_session(request)
            newest = await self._lists.newest(session, placement)
        except ConfigError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except SourceAway as away:
            popular = self._popular_items(session, placement, "redis_away")
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(away), _AGAIN) if popular is None else popular
        if newest is not None:
            return as_json(newest.value)
        popular = self._popular_items(session, placement, "no_list")
        return self._no_list(session, placement) if popular is None else popular  # aiohttp 3.9: responses are false

    def _popular_items(self, session: str, placement: str, why: str) -> web.Response | None:
        found = None if self._popular is None else self._popular.answer(session, placement)
        if found is None:
            return None
        self._metrics.fallbacks.labels(why).inc()
        return as_json(found)

    def _no_list(self, session: str, placement: str) -> web.Response:
        known = {*self._lists.placements(session), *(self._popular.placements() if self._popular is not None else ())}
        there = sorted(known - {placement})
        if there:
            what = f"there are lists of other placements, not of {placement!r}: ?placement=NAME"
            return problem(HTTPStatus.NOT_FOUND, what, placements=there)
        return problem(HTTPStatus.NOT_FOUND, "no list of this session is known: it has not clicked, or not lately")

    async def _update(self, request: web.Request) -> web.StreamResponse:
        return await self._updates.answer(request)

    async def _similar(self, request: web.Request) -> web.Response:
        try:
            found = await self._lists.similar(given_id(request.match_info["item"], "the item"))
        except ConfigError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except SourceAway as away:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(away), _AGAIN)
        if found is None:
            return problem(HTTPStatus.NOT_FOUND, "no items like this one are known (`nextclick similar publish`)")
        return as_json(found)

    async def _click(self, request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            values = split_body(body, self._config.max_clicks)
        except TimeoutError:
            return problem(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {_BODY_S:g} s")
        except BadBody as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        sound, errors = self._judged(values, may_erase=self._guard.has_right(request, "erase"))
        confirmed: list[Confirmed] = []
        said = await self._clicks.send([click for _, click in sound], request.headers) if sound else []
        for (index, _), outcome in zip(sound, said, strict=True):
            if isinstance(outcome, str):
                errors.append(Refused(index, "not_confirmed", outcome))
            else:
                confirmed.append(Confirmed(index, *outcome))
        self._metrics.clicks.inc(len(confirmed))
        self._metrics.unconfirmed.inc(len(sound) - len(confirmed))
        return _told(confirmed, errors)

    def _judged(self, values: list[bytes], *, may_erase: bool) -> tuple[list[tuple[int, Sound]], list[Refused]]:
        sound: list[tuple[int, Sound]] = []
        errors: list[Refused] = []
        now_ms = time.time_ns() // 1_000_000
        for index, value in enumerate(values):
            try:
                one = judge(value, now_ms)
            except BadClick as error:
                errors.append(Refused(index, error.reason, error.detail))
                self._metrics.bad_clicks.labels(error.reason).inc()
                continue
            if one.erases and not may_erase:
                errors.append(Refused(index, "no_right", "this key has not the right to erase sessions"))
                self._metrics.refused.labels("right").inc()
                continue
            sound.append((index, one))
        return sound, errors

    async def _describe(self, request: web.Request) -> web.Response:
        return as_json(self._openapi)

    async def _tell(self, request: web.Request) -> web.Response:
        health = self._health()
        status = HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE
        # Whoever has no key learns whether requests can be sent here, as a load balancer must
        shown = health if self._guard.has_right(request, "read") else {"ready": health.ready}
        return as_json(shown, status)

    async def _live(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _show(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})


async def _body(request: web.Request) -> bytes:
    async with asyncio.timeout(_BODY_S):
        return await request.read()


def _told(confirmed: list[Confirmed], errors: list[Refused]) -> web.Response:
    """200: all are there; 207: some; 422: none, by their own fault; 503: none, as the broker does not answer."""
    if not errors:
        return as_json(ClicksAnswer(len(confirmed), confirmed, []))
    if confirmed:
        return as_json(ClicksAnswer(len(confirmed), confirmed, sorted(errors, key=lambda one: one.index)), 207)
    if any(one.reason == "not_confirmed" for one in errors):
        detail = "the broker confirmed no click; one that is sent again may be there twice"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, _AGAIN, errors=errors)
    what = f"{errors[0].reason}: {errors[0].detail}" if len(errors) == 1 else f"none of {len(errors):,} clicks is sound"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, what, errors=errors)
