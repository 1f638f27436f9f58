"""deploy/compose.yaml, run: by Docker and Compose, from images that are there or that stand in for them.

Ours is built from deploy/Containerfile (tests/deploy/built.py), but for the trainer's, which wants gigabytes of
PyTorch. Kafka's is the published one or the broker suite's stand-in. Where others are not there (a machine without a
registry), they are an empty image that gets this machine's own programs, of Debian's packages and of the virtual
environment, mounted to be read. The file's commands, users, networks, limits, order and volumes are run as they stand.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

__all__ = ["DEPLOY", "Composed", "has_image", "missing", "require_docker"]

DEPLOY = Path(__file__).parents[2] / "deploy"
_ROOT = DEPLOY.parent
_PROJECT = "nextclick-test"
_ASKED = "NEXTCLICK_BROKER"
_STAND_IN = "nextclick-stand-in:empty"
_PROGRAMS = {"redis": "redis-server", "prometheus": "prometheus"}  # of Debian's packages of the same names
_LINKS = ("bin", "sbin", "lib", "lib64")  # into /usr
_LISTENS = ("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/tsdb")  # as its image says
_UP_S = 240


class Composed:
    """The services of the file, with its ports on loopback; skips the test where something to run them is missing."""

    def __init__(self, folder: Path, registry: Path, image: str) -> None:
        self._words = [*_compose(), "-p", _PROJECT, "--project-directory", str(DEPLOY)]
        self._file, self.registry = folder / "compose.yaml", registry
        self.services = self._derived(image)

    def up(self) -> None:
        """Start all, as `docker compose up` does, and return when they run."""
        self.down()  # what a run that was killed has left
        self._require_ports()
        self._run("up", "--detach", "--no-build", timeout=_UP_S)

    def down(self) -> None:
        """Remove all, volumes too; what an `up` that was cut short still made, at the second try."""
        words = ("down", "--volumes", "--remove-orphans", "--timeout", "1")
        self._run(*words, timeout=_UP_S, check=False)
        self._run(*words, timeout=_UP_S)

    def running(self) -> dict[str, int]:
        """How many containers of each service run."""
        names = _said("docker", "ps", "--filter", f"label=com.docker.compose.project={_PROJECT}", "--format",
                      '{{.Label "com.docker.compose.service"}}').split()  # fmt: skip
        return {name: names.count(name) for name in set(names)}

    def logs(self, lines: int = 15) -> str:
        """The last words of each, for an error message."""
        return self._run("logs", "--no-color", "--tail", str(lines), timeout=30, check=False)

    def execute(self, service: str, *words: str) -> str:
        """What a program says that is run in the first container of a service."""
        return self._run("exec", "-T", service, *words, timeout=30)

    def _require_ports(self) -> None:
        for service in self.services.values():
            for published in service.get("ports", ()):
                host, port, _ = published.split(":")
                with contextlib.closing(socket.socket()) as probe:
                    if probe.connect_ex((host, int(port))) == 0:
                        missing(f"somebody else listens on {host}:{port}, which deploy/compose.yaml publishes")

    def _derived(self, image: str) -> dict[str, Any]:
        """Write the file with the images that this machine has, ours among them, and return its services."""
        told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
        del told["name"]  # Debian's Compose knows no such field
        services: dict[str, Any] = told["services"]
        if not has_image(services["kafka"]["image"]):
            missing(f"{services['kafka']['image']} is not here: bench/rig/brokers/docker/build_image.sh makes one")
        if not has_image(services["grafana"]["image"]):
            del services["grafana"]  # Debian has none
        for name, service in services.items():
            service.pop("profiles", None)  # feedback too
            if service.pop("build", {}).get("target") == "worker":
                service["image"] = image
            elif name == "trainer":
                _run_here(service)
            elif not has_image(service["image"]):
                _stand_in(name, service)
        _make_empty_image()
        self._file.write_text(yaml.safe_dump(told, sort_keys=False))
        return services

    def _run(self, *words: str, timeout: float, check: bool = True) -> str:
        command = [*self._words, "-f", str(self._file), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=_environment(self.registry)
        )
        assert done.returncode == 0 or not check, done.stderr[-3000:]
        return done.stdout


def missing(what: str) -> NoReturn:
    """Skip the test; fail it where containers were asked for."""
    if os.environ.get(_ASKED) == "testcontainers":
        pytest.fail(what)
    pytest.skip(what)


def require_docker() -> None:
    """Skip the test where no daemon answers, or no containers are asked for."""
    if os.environ.get(_ASKED) not in (None, "", "testcontainers"):
        missing(f"{_ASKED} asks for no containers")
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        missing("no Docker daemon answers (Debian: apt-get install docker.io; dockerd)")


def _compose() -> list[str]:
    """The plug-in, or Debian's program of the same commands."""
    require_docker()
    if _works("docker", "compose", "version"):
        return ["docker", "compose"]
    if (program := shutil.which("docker-compose")) is None:
        missing("there is no Compose (Debian: apt-get install docker-compose)")
    return [program]


def _environment(registry: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "REGISTRY": str(registry)}


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout


def _works(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0


def has_image(image: str) -> bool:
    """Whether it is on this machine."""
    return _works("docker", "image", "inspect", image)


def _mounts(*more: str) -> list[str]:
    return [f"{place}:{place}:ro" for place in dict.fromkeys(("/usr", "/etc/alternatives", "/etc/ssl", *more))]


def _run_here(service: dict[str, Any]) -> None:
    """A service of ours: its words by the code of this folder, read by root as a checkout may be root's."""
    service["image"], service["user"], service["working_dir"] = _STAND_IN, "0:0", str(_ROOT)
    service["entrypoint"] = [f"{sys.prefix}/bin/python", "-m", "nextclick"]
    service["environment"] = {"OMP_NUM_THREADS": "1", "HOME": "/tmp"}
    code = (str(_ROOT), str(Path(sys.prefix).resolve()), sys.prefix, sys.base_prefix)
    service["volumes"] = [*service.get("volumes", []), *_mounts(*code)]


def _stand_in(name: str, service: dict[str, Any]) -> None:
    """A service whose image can't be had: its program on this machine."""
    if (program := shutil.which(_PROGRAMS[name])) is None:
        missing(f"there is neither {service['image']} nor {name} (Debian: apt-get install {_PROGRAMS[name]})")
    service["image"] = _STAND_IN
    service["volumes"] = [*service.get("volumes", []), *_mounts()]
    if name == "redis":
        service["command"] = [*service["command"], "--protected-mode", "no"]  # as its image does
    else:
        service["entrypoint"] = [program, *_LISTENS]


def _make_empty_image() -> None:
    """Folders to mount into, and the names of Debian that lie in /usr."""
    if has_image(_STAND_IN):
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in _LINKS:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
        for name in ("etc/passwd", "etc/group"):
            text = Path("/", name).read_bytes()
            file = tarfile.TarInfo(name)
            file.size = len(text)
            tar.addfile(file, io.BytesIO(text))
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
    words = ["docker", "import", "--change", "ENV PATH=/usr/bin:/usr/sbin", "-", _STAND_IN]
    subprocess.run(words, input=packed.getvalue(), capture_output=True, timeout=30, check=True)
