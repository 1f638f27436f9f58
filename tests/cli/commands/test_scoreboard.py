"""`scoreboard`: the table and the JSON of what is there, and what can't be."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nextclick
from tests.stream.scoreboard.conftest import bootstrap, shop  # noqa: F401  # fixtures
from tests.stream.scoreboard.shop import Shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bootstrap: str) -> Run:  # noqa: F811
    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nextclick", "scoreboard", *words, "--bootstrap-servers", bootstrap])
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return command


@pytest.fixture
def clicked(shop: Shop) -> None:  # noqa: F811
    for item in "abcab":
        shop.click("s", item)
        shop.answer("s")
    shop.flush()


@pytest.mark.usefixtures("clicked")
def test_once_counts_what_is_there_and_goes_on_from_its_state(run: Run, shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = run("--once", "--json", "--state", str(tmp_path))
    found = json.loads(out)
    assert (code, found["variants"]["7"]["clicks"], found["variants"]["7"]["hit_rate"]) == (0, 4, 0.75)
    shop.click("s", "b")
    shop.answer("s")
    shop.flush()
    found = json.loads(run("--once", "--json", "--state", str(tmp_path))[1])
    assert (found["variants"]["7"]["clicks"], found["variants"]["7"]["hit_rate"]) == (5, 0.8)
    assert [json.loads(line)["clicks"]["judged"] for line in (tmp_path / "history.jsonl").open()] == [4, 5]


@pytest.mark.usefixtures("clicked")
def test_once_prints_a_table_and_what_became_of_the_clicks(run: Run) -> None:
    code, out, _ = run("--once")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0][:5] == ["experiment", "variant", "sessions", "clicks", "hit"]
    assert lines[1][:5] == ["model", "7", "1", "4", "0.7500"]
    assert "4 of 5 clicks are judged, first 1" in out


@pytest.mark.parametrize(
    "words",
    [("--alpha", "2"), ("--guard-window", "0"), ("--every-s", "0"), ("--max-sessions", "0"), ("--guard-errors", "1")],
)
def test_settings_that_can_not_be_are_refused_in_one_line(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run("--once", *words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_state_of_another_shop_is_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    (tmp_path / "scoreboard.state").write_bytes(b"\x81\xa1a\x01")
    code, _, err = run("--once", "--state", str(tmp_path))
    assert code != 0
    assert "give another --state" in err
