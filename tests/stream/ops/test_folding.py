"""Lines that repeat are folded, and it is said how many."""

import io
import logging
from collections.abc import Iterator

import pytest

from stream.ops.folding import FoldRepeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Written:
    """A log of its own behind the filter."""

    def __init__(self) -> None:
        self.clock, self.left_out, self.stream = Clock(), 0, io.StringIO()
        self.log = logging.getLogger("tests.folding")
        self.handler = logging.StreamHandler(self.stream)
        self.handler.addFilter(FoldRepeats(self.count, clock=self.clock))
        self.loggers = (self.log, logging.getLogger("stream.ops.folding"))
        for logger in self.loggers:
            logger.addHandler(self.handler)

    def count(self) -> None:
        self.left_out += 1

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def written() -> Iterator[Written]:
    one = Written()
    yield one
    for logger in one.loggers:
        logger.removeHandler(one.handler)


def test_folding_thousands_of_lines_of_one_place_are_twenty_and_a_count(written: Written) -> None:
    for number in range(9_684):
        written.log.error("accept failed: %d", number)
        written.clock.now += 0.0006
    assert written.lines() == [f"accept failed: {number}" for number in range(20)]
    assert written.left_out == 9_684 - 20
    written.clock.now += 10
    written.log.error("something else")
    assert written.lines()[20:] == [
        "9664 more lines like the last of tests.folding (line 57) were left out".replace("57", str(line_of_accept())),
        "something else",
    ]


def test_folding_lines_of_other_places_are_written_meanwhile(written: Written) -> None:
    for _ in range(100):
        written.log.error("often")
    written.log.error("once")
    assert written.lines().count("often") == 20
    assert written.lines()[-1] == "once"
    assert written.left_out == 80


def test_folding_slow_lines_are_all_written(written: Written) -> None:
    for _ in range(100):
        written.log.error("now and then")
        written.clock.now += 1
    assert len(written.lines()) == 100
    assert written.left_out == 0


def line_of_accept() -> int:
    code = test_folding_thousands_of_lines_of_one_place_are_twenty_and_a_count.__code__
    return code.co_firstlineno + 2
