"""The OpenAPI document of the read API, made from the types of the messages."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from stream.messages.contract import Recommendation
from stream.messages.schema import schema_text
from stream.messages.similar import SimilarItems
from stream.serve.clicks import Confirmed, Refused
from stream.serve.config import ServeConfig
from stream.serve.http.answers import Problem

__all__ = ["openapi"]

_REF = "#/components/schemas/{name}"
_TYPES = (Recommendation, SimilarItems, Problem, Confirmed, Refused)


def openapi(config: ServeConfig) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template=_REF)
    accepted = json.loads(schema_text("click").replace("#/$defs/", "#/components/schemas/"))["$defs"]
    schemas |= accepted | json.loads(schema_text("erase").replace("#/$defs/", "#/components/schemas/"))["$defs"]
    schemas["ClicksAnswer"] = _clicks_answer()
    schemas["Problem"]["properties"]["errors"] = {"type": "array", "items": _ref("Refused")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "nextclick", "version": _version(), "description": "The next items of a session, live."},
        "paths": _paths(config),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"bearer": []}, {"key": []}] if config.keys is not None else [],
    }


def _paths(config: ServeConfig) -> dict[str, Any]:
    session, placement = _in_path("session", "A session id."), _in_query("placement", "string", "Which list.")
    after = _in_query("after", "integer", "source.offset of the list that the client has; -1: none.")
    wait = _in_query("wait", "number", f"Seconds to wait, {config.longest_wait_s:g} at most.")
    one_list = _json("The newest list; popular items (source.offset -1) where there is none.", _ref("Recommendation"))
    stream = {_EVENTS: {"schema": {"type": "string", "description": "data: a Recommendation; id: its source.offset"}}}
    update = {"description": "A newer list; a stream of them if asked.", "content": one_list["content"] | stream}
    one = {"anyOf": [_ref("Click"), _ref("Erase")]}
    click = {"anyOf": [*one["anyOf"], {"type": "array", "items": one, "maxItems": config.max_clicks}]}
    body = {"required": True, "content": {"application/json": {"schema": click}}}
    return {
        "/recommendations/{session}": {
            "get": _operation(
                "newest",
                "The newest list of a session.",
                {"200": one_list},
                *("400", "404", "503"),
                parameters=[session, placement],
            )
        },
        "/recommendations/{session}/updates": {
            "get": _operation(
                "updates",
                "Wait for a newer list, or read a stream of them (Accept: text/event-stream).",
                {"200": update, "204": {"description": "None came in time."}},
                *("400", "503"),
                parameters=[session, placement, after, wait],
            )
        },
        "/similar/{item}": {
            "get": _operation(
                "similar",
                "The items most similar to one.",
                {"200": _json("The list.", _ref("SimilarItems"))},
                *("400", "404", "503"),
                parameters=[_in_path("item", "An item id.")],
            )
        },
        "/clicks": {
            "post": _operation(
                "clicks",
                f"Send a click, or up to {config.max_clicks:,}; answered when the broker has them; erasing: a right.",
                {
                    "200": _json("The broker has all.", _ref("ClicksAnswer")),
                    "207": _json("It has some.", _ref("ClicksAnswer")),
                },
                *("400", "408", "413", "422", "503"),
                requestBody=body,
            )
        },
        "/health": {"get": _open("health", "Whether lists are served as of now, and what is wrong.", "503")},
        "/health/live": {"get": _open("live", "That it answers at all.")},
        "/metrics": {
            "get": _operation("metrics", "Figures, as Prometheus has them.", {"200": {"description": "Text."}})
        },
        "/openapi.json": {"get": _open("openapi", "This document.")},
    }


_EVENTS = "text/event-stream"


def _clicks_answer() -> dict[str, Any]:
    return {
        "title": "ClicksAnswer",
        "type": "object",
        "properties": {
            "accepted": {"type": "integer"},
            "clicks": {"type": "array", "items": _ref("Confirmed")},
            "errors": {"type": "array", "items": _ref("Refused")},
        },
        "required": ["accepted", "clicks", "errors"],
    }


def _operation(name: str, summary: str, answers: dict[str, Any], *problems: str, **more: Any) -> dict[str, Any]:
    told = {code: _problem() for code in ("401", "403", *problems)}
    return {"operationId": name, "summary": summary, **more, "responses": answers | told}


def _open(name: str, summary: str, *codes: str) -> dict[str, Any]:
    """One that asks for no key."""
    answers = {code: {"description": "Not ready." if code == "503" else "It is so."} for code in ("200", *codes)}
    return {"operationId": name, "summary": summary, "security": [], "responses": answers}


def _problem() -> dict[str, Any]:
    return {"description": "Why not.", "content": {"application/problem+json": {"schema": _ref("Problem")}}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(name=name)}


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def _in_query(name: str, kind: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind}}


def _version() -> str:
    try:
        return version("nextclick")
    except PackageNotFoundError:
        return "0"
