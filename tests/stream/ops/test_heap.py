"""Tests of stream/ops/heap.py: memory goes back where the C library can, and nothing happens where it can't."""

import platform
import subprocess
import sys

import pytest

from stream.ops import heap

_FREE_AND_LOOK = """
import numpy as np
from stream.ops.heap import keep_large_apart
{call}
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024
del_me = np.ones(3_000_000)  # 23 MiB, freed: from now on glibc takes less than that out of its heap
del del_me
before = resident()
empty = [np.zeros(1_000_000) for _ in range(2)]  # 15 MiB that nobody writes into
first, pin, second = np.ones(1_000_000), np.ones(1_000), np.ones(1_000_000)
del first
print(resident() - before)
"""


def test_memory_is_given_back_or_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    monkeypatch.setattr(heap, "_malloc_trim", called.append)
    heap.give_back_memory()
    assert called == [0]
    monkeypatch.setattr(heap, "_malloc_trim", None)
    heap.give_back_memory()


def test_other_c_libraries_have_no_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert heap._of_glibc("malloc_trim") is None
    monkeypatch.setattr(heap, "_mallopt", None)
    heap.keep_large_apart()


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_arrays_stand_apart_and_take_no_more_than_is_written() -> None:
    def mib(call: str) -> int:
        program = _FREE_AND_LOOK.format(call=call)
        return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)

    kept = mib("keep_large_apart()")
    assert kept < 7 + 4  # the second array's
    assert mib("") > kept
