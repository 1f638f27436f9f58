"""A schema registry for tests: Confluent's REST API as far as nextclick and Confluent's serializers use it, over HTTP.

It keeps versions under subjects and one id a schema, and refuses Avro records that lose or gain a field without
default, as compatibility FULL does. `away` has it answer nothing but 503, `password` nobody who does not say it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["RegistryServer"]

_NO_SUBJECT, _NO_SCHEMA, _UNFIT = 40401, 40403, 409


class RegistryServer:
    """Runs from `start` to `stop`, at `url`."""

    def __init__(self) -> None:
        self.away = False
        self.password = ""  # USER:PASSWORD
        self.asked: list[str] = []  # method and path of each request
        self.schemas: list[dict[str, Any]] = []  # id 1 is the first
        self.subjects: dict[str, list[int]] = {}  # ids, by version
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, schema: Any, kind: str = "AVRO", subject: str = "", references: Any = ()) -> int:
        """Register a schema beside the API; its id."""
        body = {"schema": json.dumps(schema), "schemaType": kind, "references": list(references)}
        with self._lock:
            return self._register(subject, body)

    def answer(self, method: str, path: str, body: dict[str, Any], user: str) -> tuple[int, Any]:
        """Status and content."""
        with self._lock:
            self.asked.append(f"{method} {path}")
            if self.away:
                return 503, {"error_code": 503, "message": "away"}
            if self.password and user != self.password:
                return 401, {"error_code": 401, "message": "Unauthorized"}
            path = path.split("?")[0]
            if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
                return self._by_id(int(found[1]))
            if found := re.fullmatch(r"/subjects/([^/]+)/versions/(latest|\d+)", path):
                return self._version(found[1], found[2])
            if found := re.fullmatch(r"/subjects/([^/]+)(/versions)?", path):
                return self._post(found[1], body, registers=bool(found[2]))
            return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _by_id(self, number: int) -> tuple[int, Any]:
        if not 1 <= number <= len(self.schemas):
            return 404, {"error_code": _NO_SCHEMA, "message": f"Schema {number} not found"}
        return 200, _shown(self.schemas[number - 1])

    def _version(self, subject: str, version: str) -> tuple[int, Any]:
        ids = self.subjects.get(subject, [])
        place = len(ids) if version == "latest" else int(version)
        if not 1 <= place <= len(ids):
            return 404, {"error_code": _NO_SUBJECT, "message": f"Subject '{subject}' not found."}
        number = ids[place - 1]
        return 200, {"subject": subject, "version": place, "id": number, **_shown(self.schemas[number - 1])}

    def _post(self, subject: str, body: dict[str, Any], *, registers: bool) -> tuple[int, Any]:
        kept = {"schema": body["schema"], "schemaType": body.get("schemaType") or "AVRO"}
        kept["references"] = body.get("references") or []
        ids = self.subjects.get(subject, [])
        if not registers:
            for place, number in enumerate(ids, 1):
                if self.schemas[number - 1] == kept:
                    return 200, {"subject": subject, "version": place, "id": number, **_shown(kept)}
            return 404, {"error_code": _NO_SUBJECT, "message": f"Subject '{subject}' not found."}
        if ids and not _is_compatible(self.schemas[ids[-1] - 1], kept):
            return _UNFIT, {"error_code": _UNFIT, "message": "Schema being registered is incompatible"}
        return 200, {"id": self._register(subject, kept)}

    def _register(self, subject: str, kept: dict[str, Any]) -> int:
        if kept not in self.schemas:
            self.schemas.append(kept)
        number = self.schemas.index(kept) + 1
        if subject and number not in self.subjects.setdefault(subject, []):
            self.subjects[subject].append(number)
        return number


def _shown(kept: dict[str, Any]) -> dict[str, Any]:
    """As Confluent's answers: what is usual is left out."""
    shown = {"schema": kept["schema"]}
    if kept["schemaType"] != "AVRO":
        shown["schemaType"] = kept["schemaType"]
    if kept["references"]:
        shown["references"] = kept["references"]
    return shown


def _is_compatible(old: dict[str, Any], new: dict[str, Any]) -> bool:
    if (old["schemaType"], new["schemaType"]) != ("AVRO", "AVRO"):
        return bool(old["schemaType"] == new["schemaType"])
    fields = [{one["name"]: one for one in json.loads(schema["schema"])["fields"]} for schema in (old, new)]
    differ = fields[0].keys() ^ fields[1].keys()
    return all("default" in (fields[0] | fields[1])[name] for name in differ)


def _handler(registry: RegistryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            user = base64.b64decode((self.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
            status, content = registry.answer(self.command, self.path, json.loads(body or b"{}"), user)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
