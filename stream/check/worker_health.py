"""What one worker says of itself, asked over HTTP."""

import http.client
import urllib.error
import urllib.request

import msgspec

__all__ = ["WorkerHealth", "ask_worker"]

_ANSWER_S = 3.0
_MOST_BYTES = 1 << 20


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The part of /health that a table holds. Not `answers`: `reasons` say why."""

    url: str
    answers: bool = True
    ready: bool = False
    standby: bool = False
    serving: str = ""
    model: str | None = None
    partitions: list[int] = []
    lag: dict[int, int] = {}
    reasons: list[str] = []


class _Said(msgspec.Struct, frozen=True):
    ready: bool
    standby: bool = False
    serving: str = ""
    model: str | None = None
    partitions: list[int] = []
    lag: dict[int, int] = {}
    reasons: list[str] = []


def ask_worker(url: str) -> WorkerHealth:
    """Its /health; `url` is http://host:port, or the whole address of another service's."""
    address = url if "://" in url else f"http://{url}"
    if not address.startswith(("http://", "https://")):
        return WorkerHealth(url=url, answers=False, reasons=["not an http URL"])
    address = address.rstrip("/")
    address = address if address.endswith("/health") else f"{address}/health"
    try:
        said = msgspec.json.decode(_body(address), type=_Said)
    except (OSError, ValueError, http.client.HTTPException, msgspec.MsgspecError) as error:
        return WorkerHealth(url=url, answers=False, reasons=[f"no health to be had: {error}"])
    return WorkerHealth(url=url, **msgspec.structs.asdict(said))


def _body(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=_ANSWER_S) as answer:
            return bytes(answer.read(_MOST_BYTES))
    except urllib.error.HTTPError as refused:
        with refused:
            if refused.code != http.HTTPStatus.SERVICE_UNAVAILABLE:  # which is how one that is not ready answers
                raise
            return bytes(refused.read(_MOST_BYTES))
