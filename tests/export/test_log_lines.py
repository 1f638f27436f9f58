"""Lines of a log as JSON: one object each, whatever is logged."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest

from export.log_lines import JsonLines, in_json, json_line, use_json_lines


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


@pytest.fixture
def in_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The root logger writes to stderr, as JSON."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [_Stderr()])
    end = use_json_lines()
    yield
    end()
    assert not in_json()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_record_is_one_line_with_time_level_logger_and_message(
    in_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("stream.worker").warning("two\nlines of %s, \u2028and more", "a, b")
    (line,) = lines(capsys)
    at = datetime.fromisoformat(line.pop("time"))
    assert abs(at.timestamp() - datetime.now().timestamp()) < 60
    assert line == {"level": "WARNING", "logger": "stream.worker", "message": "two\nlines of a, b, \u2028and more"}


def test_exception_and_thread_are_told(in_lines: None, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        try:
            raise ValueError("wrong")
        except ValueError:
            logging.getLogger("a").exception("it failed")

    thread = threading.Thread(target=work, name="inference")
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert (line["thread"], line["message"]) == ("inference", "it failed")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: wrong")


def test_errors_that_nobody_caught_and_warnings_are_lines_too(
    in_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("in a thread"), None, None)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    first, second, third = lines(capsys)
    assert (first["level"], first["message"]) == ("CRITICAL", "KeyError: 'k'")
    assert second["message"] == "ValueError: in a thread"
    assert third["logger"] == "py.warnings"


def test_message_that_can_not_be_made_is_shown_all_the_same() -> None:
    record = logging.LogRecord("a", logging.INFO, "f", 1, "%d clicks", ("many",), None)
    assert json.loads(JsonLines().format(record))["message"] == "%d clicks ('many',)"
    assert json.loads(json_line("INFO", "half \ud800 a pair"))["message"] == "half ? a pair"
