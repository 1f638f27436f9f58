"""One broker for the processes of a test run: its host starts it when the first of them asks, and ends it with the run.

They meet in a folder: a process that needs the broker writes `wanted` there, the host answers by `broker.json`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.rig.brokers.base import Broker, BrokerMissing
from bench.rig.brokers.choose import choose_broker
from bench.rig.brokers.process import wait_for

__all__ = ["BrokerHost", "Shared", "SharedBroker", "ask_for_broker"]

_LOOK_S = 0.05
_START_S = 300.0  # the image of a container may have to be pulled before


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What the host says: the broker that runs, or why there is none."""

    bootstrap: str | None = None
    label: str = "none"
    real: bool = False
    missing: list[str] = []  # "kind: what is missing", of those tried before
    failure: str | None = None  # of a broker that should have started and did not


class SharedBroker(Broker):
    """A broker that others use too: it is not to be stopped, and each user keeps to topics of its own."""

    restartable = False

    def __init__(self, shared: Shared) -> None:
        if shared.bootstrap is None:
            raise BrokerMissing("; ".join(shared.missing))
        self.bootstrap, self.label, self.real = shared.bootstrap, shared.label, shared.real

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """It is the host's to stop."""

    def clean(self) -> None:
        """Others have topics there: BrokerMissing."""
        raise BrokerMissing(f"{self.label} is shared, so its topics can't be removed")


class BrokerHost:
    """Waits in a thread, which is the broker's parent, until somebody asks; `close` ends broker and thread."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._folder, self._environment = folder, environment
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-host", daemon=True)
        self.shared: Shared | None = None  # None: nobody asked
        self._thread.start()

    def close(self) -> None:
        """End the broker, if there is one."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not (self._folder / "wanted").exists():
            if self._ended.wait(_LOOK_S):
                return
        broker: Broker | None = None
        try:
            choice = choose_broker(self._environment)
            broker = choice.broker
            self.shared = Shared(missing=choice.missing)
            if broker is not None:
                self.shared = Shared(
                    bootstrap=broker.bootstrap, label=broker.label, real=broker.real, missing=choice.missing
                )
        except Exception as error:  # whatever it is: those who asked must not wait for an answer
            self.shared = Shared(failure=str(error))
        self._answer(self.shared)
        self._ended.wait()
        if broker is not None:
            broker.close()

    def _answer(self, shared: Shared) -> None:
        staged = self._folder / "broker.staged"
        staged.write_bytes(msgspec.json.encode(shared))
        staged.rename(self._folder / "broker.json")


def ask_for_broker(folder: Path) -> Shared:
    """What the host of this folder answers, once it has started a broker or found that it can't."""
    (folder / "wanted").touch()
    answer = folder / "broker.json"
    wait_for("the test run's broker to start", answer.exists, _START_S)
    shared = msgspec.json.decode(answer.read_bytes(), type=Shared)
    if shared.failure is not None:
        raise AssertionError(f"the test run's broker did not start: {shared.failure}")
    return shared
