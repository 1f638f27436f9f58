"""`--log-format json`: every line on stderr is an object, also of an error that ends the service."""

import json

import pytest

from bench.rig.workers import cli
from cli.app import app

SERVICES = ("worker", "trainer", "scoreboard", "feedback", "similar publish")


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_the_option(service: str) -> None:
    import typer.main

    command = typer.main.get_command(app)
    for word in service.split():
        command = command.commands[word]  # type: ignore[attr-defined]
    (found,) = [one for one in command.params if one.name == "log_format"]
    assert found.envvar == "NEXTCLICK_LOG_FORMAT"


@pytest.mark.slow
def test_worker_without_a_registry_says_so_in_json(tmp_path: object) -> None:
    words = ("--bootstrap-servers", "127.0.0.1:1", "--registry", f"{tmp_path}/none", "--web-port", "0")
    done = cli("worker", *words, "--log-format", "json", "--k", "5000")
    assert done.returncode == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(one["level"], one["message"]) for one in lines] == [("ERROR", "error: k must be 1 to 1000, not 5000")]
