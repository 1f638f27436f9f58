"""ONNX Runtime sends nobody what is run here; its owner may want it to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# How many threads the import leaves behind: one, where usage is sent
PROGRAM = "import os, export.ranking.runtime; print(len(os.listdir('/proc/self/task')))"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_onnx_runtime_loaded_by_us_keeps_no_usage_to_send(tmp_path: Path) -> None:
    # A run in CI sends nothing anyway
    ours = {name: text for name, text in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment = ours | {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n", "no thread but ours"
    assert not list(tmp_path.rglob("*onnxruntime*")), "no store of events"
