"""Workers that are killed are replaced, and those that end by themselves are not forgiven."""

import time
from pathlib import Path

import pytest

from demo import children
from demo.errors import DemoError
from demo.workers import Workers

pytestmark = pytest.mark.slow


def test_killed_worker_is_replaced_at_its_place_and_all_end_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nextclick.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(children, "_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with Workers(lambda port: ["worker", str(port)], folder=tmp_path) as workers:
        first, second = workers.add(), workers.add()
        assert first.port != second.port
        before = first.child
        old, new = workers.kill(0)
        assert (old, new) == (before.pid, first.child.pid)
        assert not before.running
        assert first.child.args == ["worker", str(first.port)]
        assert (first.killed, second.killed) == (1, 0)
        workers.check_running()
        with pytest.raises(IndexError):
            workers.kill(2)
        left = [place.child for place in workers.places()]
    assert not any(child.running for child in left)
    with pytest.raises(IndexError, match="ends"):
        workers.kill(0)


def test_worker_that_ends_by_itself_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nextclick.py").write_text("import sys; sys.exit('no broker')")
    monkeypatch.setattr(children, "_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with Workers(lambda port: [], folder=tmp_path) as workers:
        child = workers.add().child
        deadline = time.monotonic() + 60.0
        while child.running and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(DemoError, match="no broker"):
            workers.check_running()
