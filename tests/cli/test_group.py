"""Groups of options, and the rules that hold for the options of every command."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from cli.app import app
from cli.options.group import command, option
from export.errors import ConfigError
from tests.cli.test_help import COMMANDS


@dataclass(frozen=True, kw_only=True)
class Colours:
    front: Annotated[str, option("--front", help="…")] = field()
    back: Annotated[str | None, option("--back", help="…")] = None


def made(heard: list[Any]) -> typer.Typer:
    toy = typer.Typer()

    @command(toy)
    def paint(colours: Colours, width: Annotated[float, option(help="…")] = 1.0) -> None:
        heard.append((colours, width))

    return toy


def test_command_gets_its_group_of_options_as_one_object() -> None:
    heard: list[Any] = []
    assert CliRunner().invoke(made(heard), ["--front", "red", "--width", "2"]).exit_code == 0
    assert heard == [(Colours(front="red"), 2.0)]


def test_option_of_a_group_without_a_default_is_required() -> None:
    assert CliRunner().invoke(made([]), ["--back", "red"]).exit_code == 2


def float_options() -> list[tuple[str, ...]]:
    """Every command with one option that takes a number with a fraction, and NaN or an infinity as its value."""
    return [
        (*path, f"--{name.replace('_', '-')}", value)
        for path, spread in callbacks(app)
        for name, annotation in spread.__annotations__.items()
        if re.search(r"\bfloat\b", str(get_args(annotation)[0]))
        for value in ("nan", "inf", "-inf", "1e305")
    ]


def callbacks(part: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The function of every command, with the words that name it."""
    for registered in part.registered_commands:
        yield (*path, registered.name or registered.callback.__name__), registered.callback  # type: ignore[union-attr]
    for group in part.registered_groups:
        assert group.typer_instance is not None
        yield from callbacks(group.typer_instance, (*path, group.name) if group.name else path)


FILL = {
    "path": "log.csv",
    "out": "log.csv",
    "--bundle": "b",
    "version": "1",
    "name": "new",
    "one": "1",
    "other": "2",
    "--variant": "control=1:50",
    "--bootstrap-servers": "127.0.0.1:1",
    "--registry": "r",
    "--data": "log.csv",
    "--state": "state",
    "items": "sku-1",
    "item": "sku-1",
    "item_ids": "sku-1",
}


def filled_in(path: tuple[str, ...]) -> list[str]:
    """What a command can't do without."""
    required = [parameter.opts[0] for parameter in COMMANDS[path].params if parameter.required]
    return [word for one in required for word in ((one, FILL[one]) if one.startswith("-") else (FILL[one],))]


def test_there_are_options_with_fractions() -> None:
    assert {arguments[0] for arguments in float_options()} >= {"demo", "train", "evaluate", "replay", "worker"}


@pytest.mark.parametrize("arguments", float_options(), ids=" ".join)
def test_nan_and_infinities_are_no_values_of_an_option(arguments: tuple[str, ...]) -> None:
    *path, name, value = arguments
    filled = filled_in(tuple(path))
    found = CliRunner().invoke(app, [*path, *filled, name, value])
    assert isinstance(found.exception, ConfigError)
    assert name in str(found.exception)


ARGUMENTS = ("out", "path")


def path_options() -> list[tuple[str, ...]]:
    """Every command with one option that takes a path."""
    return [
        (*path, f"--{name.replace('_', '-')}")
        for path, spread in callbacks(app)
        for name, annotation in spread.__annotations__.items()
        if re.search(r"\bPath\b", str(get_args(annotation)[0])) and name not in ARGUMENTS
    ]


def test_there_are_options_with_paths() -> None:
    names = {arguments[-1] for arguments in path_options()}
    assert names >= {"--data", "--checkpoint-dir", "--init-from", "--blocked-items", "--kafka-config"}


@pytest.mark.parametrize("arguments", path_options(), ids=" ".join)
def test_urls_are_no_paths(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    *path, name = arguments
    filled = filled_in(tuple(path))
    found = CliRunner().invoke(app, [*path, *filled, name, "s3://shop/x"])
    assert isinstance(found.exception, ConfigError)
    assert f"{name} is a path on this machine" in str(found.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["log", "simulate"])
def test_url_is_no_path_as_an_argument_either(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, [command, "s3://shop/x"])
    assert isinstance(found.exception, ConfigError)
    assert re.match("(PATH|OUT) is a path on this machine", str(found.exception))
    assert not list(tmp_path.iterdir())
