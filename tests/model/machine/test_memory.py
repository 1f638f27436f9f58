"""What reading and training have freed goes back to the system."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.machine.memory import STATUS, peak_memory_mb, release_memory

in_proc = pytest.mark.skipif(not STATUS.exists(), reason="resident memory is read from /proc")


def resident_mb() -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def columns_of(megabytes: int) -> list[Any]:
    one = pa.array(np.arange(125_000))  # 1 MB
    return [pc.add(one, pa.scalar(number)) for number in range(megabytes)]


@pytest.mark.slow
@in_proc
def test_release_memory_gives_back_what_arrow_columns_took() -> None:
    release_memory()
    before = resident_mb()
    columns = columns_of(300)
    assert resident_mb() > before + 200
    del columns
    release_memory()
    assert resident_mb() < before + 100


@in_proc
def test_peak_memory_does_not_go_down_with_what_is_given_back() -> None:
    columns = columns_of(100)
    at_most = resident_mb()
    del columns
    release_memory()
    assert peak_memory_mb() >= at_most - 1
