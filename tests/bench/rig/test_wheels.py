"""Wheels of what is installed are wheels: pip takes them, and has the same files again."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from subprocess import run

import pytest

from bench.rig.wheels import needed, wheel_of


def test_what_a_requirement_needs_is_found_with_what_that_needs_and_no_extra_that_nobody_asked_for() -> None:
    found = needed(["aiokafka>=0.13", "nothing-here; python_version < '3'"])
    assert {"aiokafka", "async-timeout", "packaging"} <= found.keys()
    assert "gssapi" not in found


@pytest.mark.slow
def test_pip_installs_a_wheel_of_what_is_installed(tmp_path: Path) -> None:
    wheel = wheel_of(distribution("packaging"), tmp_path)
    words = ["pip", "install", "--no-index", "--no-deps", "--no-compile", "--target", str(tmp_path / "it"), str(wheel)]
    done = run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = Path(str(distribution("packaging").locate_file("packaging/version.py")))
    assert (tmp_path / "it" / "packaging" / "version.py").read_bytes() == here.read_bytes()
    assert not [
        name for name in zipfile.ZipFile(wheel).namelist() if "__pycache__" in name or name.endswith("INSTALLER")
    ]
