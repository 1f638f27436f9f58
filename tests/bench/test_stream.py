"""The command line of the stream's benchmark, and the systems it makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import stream
from bench.data.clicks import in_catalogue, simulate_clicks
from bench.measure.systems import Setting, last_words, nextclick, peer, processes
from bench.stream import SYSTEMS, choose, parse

SETTING = Setting(bootstrap="host:1", registry=Path("r"), bundle=Path("b"))


def test_by_default_everything_is_measured_but_policies_which_take_a_million_items() -> None:
    args = parse([])
    assert set(SYSTEMS) - set(args.systems) == {"policies"}
    assert 1_000 in args.rates


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(SystemExit):
        parse(["--systems", "spark"])


def test_quix_is_left_out_with_the_reason_where_its_environment_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_index() -> Path:
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.setattr(stream, "quix_python", no_index)
    systems, left_out = choose(parse(["--systems", "nextclick", "quix"]), tmp_path)
    assert [system.name for system in systems] == ["nextclick"]
    assert "could not be made" in left_out["quix"]


def test_every_name_makes_a_system_of_that_name(tmp_path: Path) -> None:
    systems, left_out = choose(parse(["--quix-python", "python-with-quix", "--systems", *SYSTEMS]), tmp_path)
    assert (tuple(system.name for system in systems), left_out) == (SYSTEMS, {})


def test_every_system_runs_in_the_group_it_is_given() -> None:
    for system in (nextclick(options=("--k", "5")), peer("bare_loop")):
        assert "group-7" in system.command(SETTING, "group-7")


@pytest.mark.slow
def test_a_process_ends_with_its_block_and_leaves_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(60)"]
    with processes(command, 1, log) as [process]:
        while "hello" not in last_words(log):
            pass
        assert process.poll() is None
    assert process.poll() is not None


def test_a_catalogue_holds_every_item_clicked_and_as_many_as_asked_for() -> None:
    clicks = simulate_clicks(50, 200)
    names = in_catalogue(clicks, 60)
    assert {item for _, item, _ in clicks} <= set(names)
    assert len(names) == len(set(names)) == 60
