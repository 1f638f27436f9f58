"""CPU seconds from /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench.measure.cpu import CpuSampler, cpu_seconds, peak_mb_of


def test_the_name_of_a_process_may_hold_brackets_and_spaces() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *("0" for _ in range(10)), str(3 * ticks), str(2 * ticks), "0"]
    assert cpu_seconds(f"12 (a) b) {' '.join(fields)}") == pytest.approx(5.0)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system has no /proc")
def test_work_of_this_process_is_counted() -> None:
    began = time.time()
    sampler = CpuSampler([os.getpid()])
    used = time.process_time()
    while time.process_time() - used < 0.3:
        pass
    time.sleep(0.1)
    sampler.close()
    assert sampler.between(began, time.time()) >= 0.2


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system has no /proc")
def test_peak_of_processes_is_that_of_all_together() -> None:
    program = "import sys; held = bytearray(30_000_000); held[::4096] = b'a' * len(held[::4096]); print(); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        assert 30 < peak_mb_of([one]) < 200
        assert peak_mb_of([one, one]) == pytest.approx(2 * peak_mb_of([one]), abs=0.2)
        one.communicate(b"\n")
