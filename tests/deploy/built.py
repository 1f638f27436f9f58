"""deploy/Containerfile, built without an index of packages: pip gets wheels of this virtual environment, over HTTP.

The base is the published image or the broker suite's stand-in for Kafka's, Debian with its own Python. What a build on
your machine does besides, and this one does not: download the pinned packages, which `make install` has done.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from bench.rig.brokers.containers import IMAGE
from bench.rig.wheels import needed, wheel_of
from tests.deploy.composed import DEPLOY, has_image, missing

__all__ = ["built_image"]

_ROOT = DEPLOY.parent
_BASE, _BUILT = "nextclick-test-base:latest", "nextclick-test:latest"
_PUBLISHED = "python:3.11-slim"  # as the Containerfile has it
_BUILD_S = 240
_HOST = ("--network", "host")  # where the wheels are, and what needs no rules of iptables


@contextlib.contextmanager
def built_image(folder: Path) -> Iterator[str]:
    """The image of a worker, and of all that needs no PyTorch; gone afterwards."""
    with _serving(_wheels(folder)) as url:
        settings = f"ENV PIP_NO_INDEX=1 PIP_FIND_LINKS={url}\nENTRYPOINT []\n"
        try:
            _docker("build", "-t", _BASE, "-", told=f"FROM {_base()}\n{settings}")
            file = ("-f", str(DEPLOY / "Containerfile"), "--target", "worker", "--build-arg", f"BASE={_BASE}")
            _docker("build", *_HOST, *file, "-t", _BUILT, str(_ROOT))
            yield _BUILT
        finally:
            subprocess.run(["docker", "image", "rm", "--force", _BUILT, _BASE], capture_output=True, check=False)


def _base() -> str:
    if has_image(_PUBLISHED):
        return _PUBLISHED
    with contextlib.suppress(AssertionError):
        _docker("run", "--rm", "--entrypoint", "python3", IMAGE, "-c", f"assert {sys.version_info[:2]} == "
                "__import__('sys').version_info[:2]")  # fmt: skip
        return IMAGE
    missing(
        f"neither {_PUBLISHED} is here nor a stand-in with this Python's version: docker image rm {IMAGE}, and "
        "bench/rig/brokers/docker/build_image.sh makes one with Debian's"
    )


def _wheels(folder: Path) -> Path:
    place = folder / "wheels"
    place.mkdir()
    wanted = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    for installed in needed([*wanted["project"]["dependencies"], *wanted["build-system"]["requires"]]).values():
        wheel_of(installed, place)
    return place


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _docker(*words: str, told: str | None = None) -> None:
    done = subprocess.run(["docker", *words], input=told, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
