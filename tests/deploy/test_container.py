"""The image that deploy/Containerfile makes: what is in it, and as whom it runs."""

from __future__ import annotations

import subprocess
from importlib.metadata import version

import pytest

pytestmark = [pytest.mark.container, pytest.mark.slow, pytest.mark.timeout(400)]


def said(image: str, *words: str, entrypoint: str = "") -> str:
    """What a container says that may write nothing but /tmp, as on Kubernetes."""
    begin = ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    other = ["--entrypoint", entrypoint] if entrypoint else []
    done = subprocess.run([*begin, *other, image, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_image_runs_the_command_as_nobody_in_particular_and_has_no_torch(image: str) -> None:
    assert f"nextclick {version('nextclick')}," in said(image, "--version")
    assert "--bootstrap-servers" in said(image), "what it does where nothing is said is the worker's help"
    program = (
        "import os, sys, importlib.util as found; import onnxruntime, confluent_kafka, pyarrow; "
        "print(os.getuid(), found.find_spec('torch'), os.access(sys.prefix, os.W_OK), os.access('/src', os.W_OK))"
    )
    assert said(image, "-c", program, entrypoint="python3").split() == ["10001", "None", "False", "False"]


def test_image_says_to_docker_how_it_is_asked_and_ended(image: str) -> None:
    form = "{{.Config.User}} {{.Config.StopSignal}} {{json .Config.Healthcheck.Test}}"
    words = ["docker", "image", "inspect", "--format", form, image]
    user, signal, check = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split(" ", 2)
    assert (user, signal) == ("10001", "SIGTERM")
    assert "/health/live" in check
