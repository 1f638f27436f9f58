"""Child processes: what they print, and their sure end."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo import children
from demo.children import Child, free_port, wait_ready
from demo.errors import DemoError

pytestmark = pytest.mark.slow


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put another program in the place of `python -m nextclick`."""

    def write(text: str) -> None:
        (tmp_path / "nextclick.py").write_text(text)
        monkeypatch.setattr(children, "_ROOT", tmp_path)
        monkeypatch.chdir(tmp_path)

    return write


def test_result_is_the_last_line_of_stdout(script: Callable[[str], None]) -> None:
    script("import sys; print('first'); print('note', file=sys.stderr); print(sys.argv[1])")
    heard: list[str] = []
    with Child("helper", ["last"], scratch=Path(), on_line=heard.append) as child:
        assert child.result() == "last"
    assert heard == ["note"]


def test_result_of_a_failed_process_tells_what_it_printed(script: Callable[[str], None]) -> None:
    script("import sys; sys.exit('no such registry')")
    message = r"(?s)helper ended with exit code 1.*no such registry"
    with Child("helper", [], scratch=Path()) as child, pytest.raises(DemoError, match=message):
        child.result()


def test_stop_ends_a_process_that_ignores_the_polite_signal(
    script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "TERM_S", 0.3)
    ready = threading.Event()
    script(
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', file=sys.stderr, flush=True); time.sleep(60)"
    )
    child = Child("helper", [], scratch=Path(), on_line=lambda _line: ready.set())
    assert ready.wait(20)
    child.stop()
    assert not child.running
    child.stop()  # may be repeated


def test_stop_ends_what_the_process_started(script: Callable[[str], None], tmp_path: Path) -> None:
    ready = threading.Event()
    script(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('pid', 'w').write(str(child.pid)); print('up', file=sys.stderr, flush=True); time.sleep(60)"
    )
    child = Child("helper", [], scratch=Path(), on_line=lambda _line: ready.set())
    assert ready.wait(20)
    child.stop()
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5.0  # a killed process ends when it next gets a core
    while not has_ended(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(grandchild)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_interrupt_of_the_terminal_does_not_reach_it(script: Callable[[str], None]) -> None:
    script("import time; time.sleep(60)")
    with Child("helper", [], scratch=Path()) as child:
        assert os.getpgid(child._process.pid) != os.getpgid(0)


def test_wait_ready_of_a_dead_process_fails_at_once(script: Callable[[str], None]) -> None:
    script("import sys; sys.exit('broken')")
    with Child("helper", [], scratch=Path()) as child, pytest.raises(DemoError, match="broken"):
        wait_ready(child, f"http://127.0.0.1:{free_port()}/health", timeout_s=30.0, stopped=threading.Event())


def test_wait_ready_out_of_time_says_what_was_answered(script: Callable[[str], None]) -> None:
    script("import time; time.sleep(60)")
    with Child("helper", [], scratch=Path()) as child, pytest.raises(DemoError, match="not ready within"):
        wait_ready(child, f"http://127.0.0.1:{free_port()}/health", timeout_s=0.3, stopped=threading.Event())


def test_wait_ready_returns_when_stopped(script: Callable[[str], None]) -> None:
    script("import time; time.sleep(60)")
    stopped = threading.Event()
    stopped.set()
    with Child("helper", [], scratch=Path()) as child:
        assert not wait_ready(child, "http://127.0.0.1:1/health", timeout_s=30.0, stopped=stopped)
