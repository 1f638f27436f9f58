"""Updates of one list: a long poll, or a stream of server-sent events.

`after` is the source.offset of the list that the client has; an event's id is the same, so that a browser that comes
back (Last-Event-ID) gets what it has not seen. A client that is slow gets the newest list only.
"""

import math
from http import HTTPStatus

from aiohttp import hdrs, web

from export.errors import ConfigError
from export.id_lists import given_id
from stream.serve.config import ServeConfig
from stream.serve.errors import HubFull, SourceAway
from stream.serve.figures import ServeMetrics
from stream.serve.http.answers import as_json, problem
from stream.serve.http.guard import Guard
from stream.serve.http.hub import Hub, Subscription
from stream.serve.sources.lists import Lists
from stream.serve.sources.popular import NO_CLICK
from stream.serve.sources.store import Newest, list_key

__all__ = ["Updates", "given_session"]

_EVENTS = "text/event-stream"
_AGAIN = {"Retry-After": "1"}
_LAST_OFFSET = 2**63 - 1


class Updates:
    """Answers GET /recommendations/{session}/updates."""

    def __init__(self, config: ServeConfig, lists: Lists, hub: Hub, guard: Guard, metrics: ServeMetrics) -> None:
        self._config, self._lists, self._hub, self._guard, self._metrics = config, lists, hub, guard, metrics

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Wait for a list that answers a later click than `after`."""
        placement = request.query.get("placement", "")
        streams = _EVENTS in request.headers.get(hdrs.ACCEPT, "")
        try:
            session, after = given_session(request), _after(request)
            wait_s = min(_number(request.query.get("wait", "30"), "wait"), self._config.longest_wait_s)
            with self._hub.subscribe(list_key(session, placement)) as coming:
                there = await self._lists.newest(session, placement)
                if there is not None and there.offset <= after:
                    there = None
                if streams:
                    return await self._stream(request, there, coming)
                return _poll_answer(there or await coming.next(wait_s))
        except (ConfigError, ValueError) as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except HubFull as full:
            self._metrics.refused.labels("full").inc()
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(full), _AGAIN)
        except SourceAway as away:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(away), _AGAIN)

    async def _stream(self, request: web.Request, there: Newest | None, coming: Subscription) -> web.StreamResponse:
        headers = {hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no", **self._guard.cors(request)}
        answer = web.StreamResponse(headers={hdrs.CONTENT_TYPE: _EVENTS, **headers})
        await answer.prepare(request)
        try:
            await answer.write(b": lists follow\n\n")
            while True:
                if there is not None:
                    await answer.write(
                        b"id: %d\nevent: recommendation\ndata: %b\n\n" % (there.offset, _line(there.value))
                    )
                there = await coming.next(self._config.heartbeat_s)
                if self._hub.closed:
                    break
                if there is None:
                    await answer.write(b": alive\n\n")
        except ConnectionError:
            pass  # the client has gone
        return answer


def _poll_answer(newest: Newest | None) -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT) if newest is None else as_json(newest.value)


def _line(value: bytes) -> bytes:
    """JSON on one line: a break between its parts would end the event."""
    return value if b"\n" not in value and b"\r" not in value else value.replace(b"\n", b" ").replace(b"\r", b" ")


def given_session(request: web.Request) -> str:
    """Return the session that a request's path names; ConfigError where that is no id."""
    return given_id(request.match_info["session"], "the session", "session id")


def _after(request: web.Request) -> int:
    """The offset that the client has; -1: it has no list."""
    said = request.query.get("after", request.headers.get("Last-Event-ID", ""))
    if said in ("", str(NO_CLICK)):
        return NO_CLICK
    if not said.isascii() or not said.isdecimal() or len(said) > 19 or int(said) > _LAST_OFFSET:
        raise ValueError("after must be the source.offset of a list, a whole number")
    return int(said)


def _number(said: str, name: str) -> float:
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be a number of seconds, 0 or more")
    return number
