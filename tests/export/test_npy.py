"""A header that another thread's parse spoiled is read once more; one that is damaged is told."""

import pytest

from export.npy import one_at_a_time


def test_a_parse_that_python_mixed_up_with_another_is_done_again() -> None:
    errors = [SystemError("AST constructor recursion depth mismatch (before=42, after=39)")]

    def read() -> str:
        if errors:
            raise errors.pop()
        return "array"

    assert one_at_a_time(read) == "array"


def test_a_damaged_header_is_told_at_once() -> None:
    calls = []

    def read() -> str:
        calls.append(1)
        raise ValueError("magic")

    with pytest.raises(ValueError, match="magic"):
        one_at_a_time(read)
    assert len(calls) == 1
    assert one_at_a_time(lambda: "the next one") == "the next one"
