"""`train` that is interrupted, or has no room: one line, and what to do."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from torch import nn

import export.graph.onnx as exporter
import nextclick
from model.learn import checkpoint

ROOT = Path(__file__).parents[4]

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    rows = [
        f"{session},{(session + step) % 97},{1_600_000_000_000 + session * 1000 + step}"
        for session in range(700)
        for step in range(6)
    ]
    path.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return path


def arguments(log: Path, *more: str) -> list[str]:
    registry = str(log.parent / "registry")
    return ["train", "--data", str(log), "--registry", registry, "--preset", "tron-fast", "--threads", "1", *more]


@pytest.mark.parametrize(("number", "code", "resume"), [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)])
def test_interrupted_training_leaves_a_checkpoint_and_says_how_to_go_on(
    log: Path, number: int, code: int, resume: bool
) -> None:
    more = ("--epochs", "200", *(() if resume else ("--no-resume",)))
    process = subprocess.Popen(
        [sys.executable, "-m", "nextclick", *arguments(log, *more)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("train "):
            break
    process.send_signal(number)
    *_, said = process.stderr.read().splitlines()
    assert process.wait(120) == code
    found = re.match(r"interrupted after step ([\d,]+) of ([\d,]+); the checkpoint is in (\S+), the same command", said)
    assert found is not None, said
    assert ("without --no-resume" in said) is not resume
    step = int(found[1].replace(",", ""))
    assert 0 < step < int(found[2].replace(",", ""))
    assert not list((log.parent / "registry").glob("[0-9]*"))
    directory = Path(found[3])
    assert (directory / "checkpoint.pt").is_file()
    if resume:
        assert resumed_step(log, directory) >= step
    else:
        assert checkpoint.load(directory)["step"] >= step, "what is gone on with without --no-resume"


def resumed_step(log: Path, directory: Path) -> int:
    """The step that the same command goes on from: the first it reports."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nextclick", *arguments(log, "--epochs", "200")],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        before = (directory / "metrics.jsonl").read_bytes()
        deadline = time.monotonic() + 120
        while (now := (directory / "metrics.jsonl").read_bytes()) == before or not now.endswith(b"\n"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        return int(json.loads(now.splitlines()[-1])["step"])
    finally:
        process.kill()
        process.communicate()


def fill_disk() -> None:
    """No file can grow larger than 20,000 bytes, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def disk() -> Iterator[None]:
    """There is room again when the test is over."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def train(log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit code, and what was said on stderr."""
    monkeypatch.setattr(sys, "argv", ["nextclick", *arguments(log, "--epochs", "1")])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.usefixtures("disk")
def test_no_room_for_a_checkpoint_is_one_line(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_disk()
    code, said = train(log, monkeypatch, capsys)
    assert code == 1
    assert "Traceback" not in said
    assert re.match(r"error: cannot write a checkpoint into \S+: .*File too large", said.splitlines()[-1])


@pytest.mark.usefixtures("disk")
def test_no_room_for_a_bundle_is_one_line(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def translate(serving: nn.Module, window: int) -> onnx.ModelProto:
        graph = real(serving, window)
        fill_disk()  # it was trained: only the export is left
        return graph

    real = exporter._translate
    monkeypatch.setattr(exporter, "_translate", translate)
    code, said = train(log, monkeypatch, capsys)
    assert code == 1
    assert "Traceback" not in said
    assert re.match("error: .*File too large", said.splitlines()[-1])
    assert list((log.parent / "registry").glob(".checkpoints/*/checkpoint.pt"))
    assert not list((log.parent / "registry").glob("[0-9]*"))


def test_registry_that_cannot_be_written_is_found_before_the_log_is_read(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import model.training_run
    from export.errors import RegistryError
    from model.presets import preset
    from model.training_run import TrainRequest, train_to_registry

    registry = log.parent / "registry"
    registry.mkdir()

    def refuse(path: Path, *_: object, **__: object) -> None:
        if not os.path.isdir(path):
            raise OSError(30, "Read-only file system", str(path))

    def read(*_: object) -> None:
        raise AssertionError("the log was read")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(model.training_run, "read_and_split", read)
    with pytest.raises(RegistryError, match="Read-only"):
        train_to_registry(TrainRequest(data=log, registry=registry, preset=preset("tron-fast")))
