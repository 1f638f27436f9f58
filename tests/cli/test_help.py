"""The help of every command at the width of a small terminal: names whole, and the commands by who uses them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from cli.app import app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command there is, with the words that name it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def small_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)


def shown(path: tuple[str, ...]) -> str:
    found = CliRunner().invoke(app, [*path, "--help"], prog_name="nextclick")
    assert found.exit_code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", found.output)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_at_80_columns_has_every_name_whole(path: tuple[str, ...]) -> None:
    text = shown(path)
    assert max(map(len, text.splitlines())) <= 80
    words = set(re.findall(r"[-\w]+", text))
    for parameter in COMMANDS[path].params:
        names = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]
        assert set(names) <= words
        if getattr(parameter, "envvar", None):
            assert parameter.envvar in words
    # A name that is cut ends in an ellipsis: the only ones left are those that the texts have
    texts = " ".join(str(getattr(parameter, "help", "")) for parameter in COMMANDS[path].params)
    assert text.count("…") <= texts.count("…") + str(COMMANDS[path].help).count("…")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    for parameter in COMMANDS[path].params:
        assert getattr(parameter, "help", None), f"{parameter.name} of {' '.join(path)}"
    assert COMMANDS[path].help


def test_help_groups_commands_by_who_uses_them_and_offers_completion() -> None:
    text = shown(())
    for panel in ("Try it", "Train and measure", "Serve"):
        assert f" {panel} " in text
    assert {"--version", "--install-completion", "--show-completion"} <= set(re.findall(r"[-\w]+", text))


def test_version_names_python_and_the_libraries() -> None:
    found = CliRunner().invoke(app, ["--version"])
    assert found.exit_code == 0
    assert re.fullmatch(r"nextclick \d\S*, Python 3\.\d+\S*, onnxruntime\S* \S+.*\n", found.output)
