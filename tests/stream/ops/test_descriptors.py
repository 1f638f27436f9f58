"""Descriptors that run out are said, with the remedy."""

import errno
import os
import resource

import pytest

from stream.ops.descriptors import check_descriptors
from stream.ops.problems import Problems

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what is open is told by Linux only")


def test_descriptors_near_their_limit_are_a_problem_until_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = Problems()
    used = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (used, used))
    check_descriptors(problems)
    (problem,) = problems.lasting()
    assert problem.key == "file_descriptors"
    assert "ulimit -n" in str(problem)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (100 * used, 100 * used))
    check_descriptors(problems)
    assert problems.lasting() == []


def test_descriptors_used_up_to_the_last_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_path: object) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    problems = Problems()
    monkeypatch.setattr(os, "listdir", none_left)
    check_descriptors(problems)
    assert [problem.key for problem in problems.lasting()] == ["file_descriptors"]
