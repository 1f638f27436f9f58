"""The small logs of shared/cases, as people's tools write them, where they are at hand: all come out right."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.readers import ReadOptions, read_log
from tests.model.logs import SHARED_DATA

MAKE = SHARED_DATA.parent / "cases" / "make_logs.py"


@pytest.mark.slow  # starts a process
@pytest.mark.skipif(not MAKE.exists(), reason=f"no cases at {MAKE}")
def test_every_case_is_read_as_it_should_be(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(MAKE), str(tmp_path)], check=True, capture_output=True)
    cases: dict[str, dict[str, Any]] = json.loads((tmp_path / "expected.json").read_text())
    wrong = {}
    for name, case in cases.items():
        if "clicks" not in case:
            continue
        unit: Any = case["options"][1] if "options" in case else "ms"
        raw = read_log(tmp_path / name, ReadOptions(ts_unit=unit, max_bad_share=0.2))
        found = {"clicks": raw.clicks, "sessions": len(np.unique(raw.sessions)), "items": len(np.unique(raw.items))}
        right = {part: case[part] for part in found}
        doubted = "--time-unit s" in raw.report.summary() or not case.get("warning")
        if found != right or raw.report.bad_lines != case.get("bad", 0) or not doubted:
            wrong[name] = found, raw.report.summary()
    assert not wrong
