"""`--log-format json`: every line on stderr is an object, also of an error that ends the service."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from bench.rig.workers import cli
from cli.app import app


def commands(group: Any, words: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each command with its options by their names."""
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{words}{name} ")
        yield f"{words}{name}", {str(one.name): one for one in command.params}


def test_every_service_has_the_option() -> None:
    services = {name: found for name, found in commands(typer.main.get_command(app)) if "web_port" in found}
    assert set(services) >= {"worker", "trainer", "scoreboard", "feedback", "similar publish", "serve"}
    for name, found in services.items():
        assert "log_format" in found, name
        assert found["log_format"].envvar == "NEXTCLICK_LOG_FORMAT"


@pytest.mark.slow
def test_worker_without_a_registry_says_so_in_json(tmp_path: object) -> None:
    words = ("--bootstrap-servers", "127.0.0.1:1", "--registry", f"{tmp_path}/none", "--web-port", "0")
    done = cli("worker", *words, "--log-format", "json", "--k", "5000")
    assert done.returncode == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(one["level"], one["message"]) for one in lines] == [("ERROR", "error: k must be 1 to 1000, not 5000")]
