"""What the page's server answers at all: browsers of this machine, and buttons of this page.

Host                  a name of this machine: a page elsewhere whose name is made to lead here is refused
POST                  with the token that stands in the page, from the page's own origin
answers               say that nothing is to be loaded from elsewhere, and that no other page may show this one
"""

import hmac
import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from stream.serve.http.answers import problem

__all__ = ["TOKEN", "Guard"]

TOKEN = "X-Page-Token"
_NAMES = ("127.0.0.1", "localhost", "::1")
_SAID = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """`handle` is a middleware; `token` stands in the page."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or refuse it."""
        refusal = self._refusal(request)
        if refusal is not None:
            return problem(HTTPStatus.FORBIDDEN, refusal)
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            return problem(HTTPStatus(error.status), error.reason)
        if not answer.prepared:
            answer.headers.update(_SAID)
        return answer

    def _refusal(self, request: web.Request) -> str | None:
        host = request.headers.get(hdrs.HOST, "")
        if urlsplit(f"//{host}").hostname not in _NAMES:
            return "this page is for browsers of this machine: http://127.0.0.1"
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            return None
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin != f"http://{host}":
            return "the request comes from another page"
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "the request comes from another page"
        if not hmac.compare_digest(request.headers.get(TOKEN, "").encode(), self.token.encode()):
            return "the request has not the token of this page: load it again"
        return None
