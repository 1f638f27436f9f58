"""Answers: lists as they came, and problems as application/problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["ClicksAnswer", "Problem", "as_json", "problem"]

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request has no other answer."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    placements: list[str] = []  # of a session that has no list of the one asked for
    errors: list[Any] = []  # clicks refused, each with its index, reason and detail


class ClicksAnswer(msgspec.Struct, frozen=True):
    """What became of the clicks of a request."""

    accepted: int
    clicks: list[Any]  # those the broker has: index, partition, offset
    errors: list[Any]  # the others: index, reason, detail


def as_json(body: bytes | Any, status: int = 200) -> web.Response:
    """An answer; bytes are JSON already."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(body=content, status=status, content_type="application/json", headers=_HEADERS)


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    """A problem with its title by HTTP."""
    body = msgspec.json.encode(Problem(status.phrase, int(status), detail, **more))
    return web.Response(
        body=body, status=int(status), content_type="application/problem+json", headers=_HEADERS | (headers or {})
    )
