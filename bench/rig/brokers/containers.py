"""Apache Kafka in a container, through testcontainers, from the image apache/kafka or its stand-in (docker/)."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

from bench.rig.brokers.base import (
    KAFKA_VERSION,
    Broker,
    BrokerMissing,
    as_environment,
    kafka_settings,
    wait_until_answering,
)
from bench.rig.brokers.process import DeadlineExceeded, free_port

__all__ = ["IMAGE", "STAND_IN_LABEL", "ContainerBroker"]

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
STAND_IN_LABEL = "nextclick.stand-in"  # set by docker/build_image.sh
_PORT = 9092  # inside the container
# The broker writes the markers of transactions by a connection to itself, and inside the container nothing listens at
# the address that clients know: it has a listener of its own for that.
_INSIDE = "localhost:9094"
_PULL_S = 180.0
_START_S = 150.0


class ContainerBroker(Broker):
    """One container, started again with the same data after `stop`. BrokerMissing without a daemon or an image."""

    real = True
    restartable = True

    def __init__(self) -> None:
        # Ryuk, which removes what a killed run leaves behind, is an image of its own that may not be had
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        label = _require_image(_require_daemon())
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.label = f"{label} through testcontainers"
        self._container = _container(port)
        self._made = False

    def start(self) -> None:
        """Create the container or start it again; DeadlineExceeded with its last words when it does not come up."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        try:
            wait_until_answering(self.bootstrap, _START_S, self._alive)
        except DeadlineExceeded as error:
            out, err = self._container.get_logs()
            raise DeadlineExceeded(f"{error}\n{(out + err).decode(errors='replace')[-4000:]}") from error

    def stop(self) -> None:
        """Stop the container; it keeps its data."""
        if self._made:
            self.await_deletions()
            self._container.get_wrapped_container().stop(timeout=15)

    def kill(self) -> None:
        """End its processes at once, as a crash would."""
        self.await_deletions()
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        """Freeze its processes."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let them go on."""
        self._container.get_wrapped_container().unpause()

    def close(self) -> None:
        """Remove the container."""
        if self._made:
            self._container.stop()
            self._made = False

    def _alive(self) -> bool:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return bool(wrapped.status in ("created", "running"))


def _require_daemon() -> Any:
    """Return a client of the Docker daemon."""
    try:
        import docker
    except ImportError as error:
        raise BrokerMissing("testcontainers is not installed (pip install 'nextclick[dev]')") from error
    try:
        client = docker.from_env(timeout=30)
        client.ping()
    except docker.errors.DockerException as error:
        raise BrokerMissing("no Docker daemon answers (Debian: apt-get install docker.io; dockerd)") from error
    return client


def _require_image(client: Any) -> str:
    """Pull the image if it is not there, and return what it is called in the summary."""
    import docker

    try:
        image = client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        image = _pull(client)
    kind = "its stand-in" if STAND_IN_LABEL in (image.labels or {}) else "the published image"
    return f"{IMAGE} ({kind})"


def _pull(client: Any) -> Any:
    """Pull within a deadline; docker-py itself has none."""
    found: list[Any] = []

    def pull() -> None:
        with contextlib.suppress(Exception):
            found.append(client.images.pull(IMAGE))

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    thread.join(_PULL_S)
    if not found:
        raise BrokerMissing(
            f"the image {IMAGE} is not here and can't be pulled; "
            "bench/rig/brokers/docker/build_image.sh builds a stand-in from Debian's packages"
        )
    return found[0]


def _container(port: int) -> Any:
    from testcontainers.core.container import DockerContainer

    settings = kafka_settings(
        listen=f"0.0.0.0:{_PORT}", advertise=f"127.0.0.1:{port}", controller="localhost:9093", data="/tmp/kafka-data"
    )
    settings["listeners"] += f",INSIDE://{_INSIDE}"
    settings["advertised.listeners"] += f",INSIDE://{_INSIDE}"
    settings["listener.security.protocol.map"] += ",INSIDE:PLAINTEXT"
    settings["inter.broker.listener.name"] = "INSIDE"
    container = DockerContainer(IMAGE).with_bind_ports(_PORT, port)
    for name, value in (as_environment(settings) | {"KAFKA_HEAP_OPTS": "-Xmx512m"}).items():
        container = container.with_env(name, value)
    return container
