"""Who may do what: API keys, pages of other origins; and the figures of each request."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import hdrs, web
from prometheus_client import Counter

from stream.serve.figures import ServeMetrics
from stream.serve.http.answers import problem
from stream.serve.http.keys import ApiKeys

__all__ = ["NEEDS", "Guard"]

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NEEDS = {  # the right that a route asks for; "" where none is asked
    "recommendations": "read",
    "updates": "read",
    "similar": "read",
    "clicks": "write",
    "metrics": "read",
    "health": "",
    "live": "",
    "openapi": "",
}
_UNTIMED = ("updates",)
_METHODS = "GET, POST, OPTIONS"
_ASKED_HEADERS = "Authorization, X-API-Key, Content-Type, Last-Event-ID"


class Guard:
    """`handle` is a middleware. keys: None: none is asked for; origins: of pages that may read answers; `*`: all."""

    def __init__(self, keys: ApiKeys | None, origins: tuple[str, ...], metrics: ServeMetrics) -> None:
        self._keys, self._origins, self._metrics = keys, frozenset(origins), metrics
        self._timed = {route: metrics.seconds.labels(route) for route in NEEDS if route not in _UNTIMED}
        self._counted: dict[tuple[str, int], Counter] = {}  # finding a label takes longer than counting

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer it."""
        begun = time.perf_counter()
        route = request.match_info.route.name or "other"
        answer: web.StreamResponse | None = self._preflight(request)
        if answer is None:  # an answer without items of its own is false to some releases of aiohttp
            answer = self._refusal(request, route)
        if answer is None:
            answer = await self._answered(request, handler)
        if route in self._timed:
            self._timed[route].observe(time.perf_counter() - begun)
        self._count(route, answer.status)
        if self._origins and not answer.prepared:
            answer.headers.update(self.cors(request))
        return answer

    def cors(self, request: web.Request) -> dict[str, str]:
        """The headers by which a browser lets a page of another origin read the answer."""
        if not self._origins:
            return {}
        origin = request.headers.get(hdrs.ORIGIN, "")
        if "*" in self._origins:
            return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}
        allowed = {str(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN): origin} if origin in self._origins else {}
        return {"Vary": "Origin", **allowed}

    def has_right(self, request: web.Request, right: str) -> bool:
        """Whether the request comes with a key of this right, or none is asked for."""
        if self._keys is None:
            return True
        key = self._keys.find(_given(request))
        return key is not None and right in key.rights

    def _count(self, route: str, status: int) -> None:
        counter = self._counted.get((route, status))
        if counter is None:
            counter = self._counted[route, status] = self._metrics.requests.labels(route, str(status))
        counter.inc()

    def _preflight(self, request: web.Request) -> web.Response | None:
        """A browser asks before it sends a page's request; without a key, as the standard has it."""
        asks = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if not asks or not self._origins:
            return None
        told = {hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS, hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ASKED_HEADERS}
        return web.Response(status=204, headers={**told, hdrs.ACCESS_CONTROL_MAX_AGE: "600"})

    def _refusal(self, request: web.Request, route: str) -> web.Response | None:
        right = NEEDS.get(route, "read")
        if not right or self._keys is None:
            return None
        key = self._keys.find(_given(request))
        if key is None:
            self._metrics.refused.labels("key").inc()
            how = "send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            return problem(HTTPStatus.UNAUTHORIZED, how, {"WWW-Authenticate": "Bearer"})
        if right not in key.rights:
            self._metrics.refused.labels("right").inc()
            return problem(HTTPStatus.FORBIDDEN, f"this key has not the right to {right}")
        return None

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge as error:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.text or error.reason)
        except web.HTTPMethodNotAllowed as error:
            allowed = {"Allow": ", ".join(sorted(error.allowed_methods))}
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is nothing here", allowed)
        except web.HTTPNotFound:
            return problem(HTTPStatus.NOT_FOUND, "there is no such address; /openapi.json has all")
        except web.HTTPException as error:
            return problem(HTTPStatus(error.status), error.reason)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("a request failed")
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of the server; its log has more")


def _given(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
