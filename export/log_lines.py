"""Logs as JSON, one object a line, for those who collect them: `--log-format json`.

    {"time": "2026-11-28T03:12:59.123Z", "level": "WARNING", "logger": "stream.worker", "message": "...",
     "thread": "...", "exception": "..."}

`thread` says where, unless it was the main one; `exception` is a traceback, its line ends escaped. What a service says
on stderr without a logger, and what Python prints of an error that nobody caught, are such lines too.
"""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType

import msgspec

__all__ = ["JsonLines", "in_json", "json_line", "use_json_lines"]

_NAME = "nextclick"  # the logger of what has none
_SEPARATORS = re.compile("[\x85\u2028\u2029]")  # which end a line for some readers
_encode = msgspec.json.Encoder(enc_hook=str).encode
_used = False


class _Line(msgspec.Struct, omit_defaults=True):
    time: str
    level: str
    logger: str
    message: str
    thread: str = ""
    exception: str = ""


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Never fails: arguments that do not fit a message are shown beside it."""
        try:
            message = record.getMessage()
        except Exception:  # logging prints a traceback in plain text else
            message = f"{record.msg} {record.args!r}"
        exception = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        if record.stack_info:
            exception = f"{exception}\n{record.stack_info}".strip()
        thread = "" if record.threadName in (None, "MainThread") else str(record.threadName)
        return json_line(record.levelname, message, record.name, thread, exception, record.created)


def json_line(
    level: str,
    message: str,
    logger: str = _NAME,
    thread: str = "",
    exception: str = "",
    at_s: float | None = None,
) -> str:
    """One line, of now where `at_s` (seconds since the epoch) is not given."""
    at_s = time.time() if at_s is None else at_s
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s % 1 * 1000):03}Z"
    found = _Line(stamp, level, logger, message, thread, exception)
    try:
        text = _encode(found).decode()
    except UnicodeEncodeError:  # half a surrogate pair, as in names of files that are not UTF-8
        plain = (text.encode(errors="replace").decode() for text in msgspec.structs.astuple(found))
        text = _encode(_Line(*plain)).decode()
    return _SEPARATORS.sub(lambda it: f"\\u{ord(it[0]):04x}", text)


def in_json() -> bool:
    """Whether this process writes such lines."""
    return _used


def use_json_lines() -> Callable[[], None]:
    """From now on all handlers of the root logger write JSON, and so do warnings and errors that nobody caught; the
    function returned ends that."""
    global _used
    handlers = list(logging.getLogger().handlers)
    before = [handler.formatter for handler in handlers], sys.excepthook, threading.excepthook, _used
    _used = True
    for handler in handlers:
        handler.setFormatter(JsonLines())
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread

    def end() -> None:
        global _used
        formatters, sys.excepthook, threading.excepthook, _used = before
        for handler, formatter in zip(handlers, formatters, strict=True):
            handler.setFormatter(formatter)
        logging.captureWarnings(False)

    return end


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    print(json_line("CRITICAL", f"{kind.__name__}: {error}", exception=text), file=sys.stderr, flush=True)


def _uncaught_in_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is None or isinstance(died.exc_value, SystemExit):
        return
    text = "".join(traceback.format_exception(died.exc_value)).rstrip()
    name = died.thread.name if died.thread else ""
    what = f"{type(died.exc_value).__name__}: {died.exc_value}"
    print(json_line("CRITICAL", what, thread=name, exception=text), file=sys.stderr, flush=True)
