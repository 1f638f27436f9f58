"""Apache Kafka on this machine's Java: one KRaft node in a process of its own, its data in a temporary folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from bench.rig.brokers.base import KAFKA_VERSION, Broker, kafka_settings, wait_until_answering
from bench.rig.brokers.jars import kafka_archive, kafka_jars, require_java
from bench.rig.brokers.process import DeadlineExceeded, end_process, free_port, start_process, tail

__all__ = ["JvmBroker"]

_SHORT_LIVED = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # starts soon, takes little
# As kafka-server-start.sh has it: warm after half a minute of work, which then takes it about a third less CPU
_LASTING = (
    "-Xms1g",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
)
# Threads look for work three times a second each, and a record is written twice a second to say that nothing happens:
# brokers of tests idle most of their time, side by side
_IDLE_FOR_LESS = {"num.io.threads": "3", "num.network.threads": "1", "metadata.max.idle.interval.ms": "0"}
_CLUSTER_ID = "bmV4dGNsaWNrLXRlc3RzMQ"  # 16 bytes in base64, as Kafka wants it
_START_S = 60.0


class JvmBroker(Broker):
    """Kafka from Maven's jars. Constructing it checks that Java and the jars can be had (BrokerMissing)."""

    real = True
    restartable = True

    def __init__(self, *, lasting: bool = False, flags: tuple[str, ...] = ()) -> None:
        """lasting: for a benchmark, not for a test that is over in seconds. flags: more of them, for the broker."""
        self._java = require_java()
        self._jars = kafka_jars()
        self._flags = _LASTING if lasting else (*_SHORT_LIVED, *_archived(self._jars))
        self._more_settings = {} if lasting else _IDLE_FOR_LESS
        self._more = flags
        self._home = Path(tempfile.mkdtemp(prefix="nextclick-kafka-"))
        self._log = self._home / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{free_port()}"
        self.label = f"Apache Kafka {KAFKA_VERSION} on the JVM"
        self._format(f"127.0.0.1:{free_port()}")

    def start(self) -> None:
        """Start the JVM unless it runs; DeadlineExceeded with the broker's last words when it does not come up."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            process = start_process(
                self._command("kafka.Kafka", str(self._properties), flags=self._more),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._process = process
        try:
            wait_until_answering(self.bootstrap, _START_S, lambda: process.poll() is None)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{error}\n{tail(self._log)}") from error

    def stop(self, grace_s: float = 15.0) -> None:
        """Stop the JVM, which has so long for it; the data stay."""
        if self._process is not None:
            self.await_deletions()
            end_process(self._process, grace_s)
            self._process = None

    def rest(self) -> None:
        """A minute's idling costs as much as a start."""
        self.stop()

    def kill(self) -> None:
        """End the JVM at once, as a crash would; what it wrote so far is in its files."""
        if self._process is not None:
            self.await_deletions()
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze the JVM."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the JVM go on."""
        self._signal(signal.SIGCONT)

    def clean(self) -> None:
        """Remove every topic; DeadlineExceeded with the broker's last words when it has ended by itself."""
        status = self._process.poll() if self._process is not None else None
        if status is not None:
            raise DeadlineExceeded(f"the broker ended by itself with {status}:\n{tail(self._log)}")
        super().clean()

    def close(self) -> None:
        """Stop the JVM and remove the data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _command(self, main_class: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
        return [self._java, *self._flags, *flags, "-cp", f"{self._jars}/*", main_class, *arguments]

    def _settings(self, controller: str) -> dict[str, str]:
        """Return the broker's properties."""
        settings = kafka_settings(
            listen=self.bootstrap, advertise=self.bootstrap, controller=controller, data=str(self._home / "data")
        )
        return settings | self._more_settings

    def _format_options(self) -> list[str]:
        """Return what else the storage is formatted with."""
        return []

    def _format(self, controller: str) -> None:
        settings = self._settings(controller)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        options = ["-t", _CLUSTER_ID, "-c", str(self._properties), *self._format_options()]
        command = self._command("kafka.tools.StorageTool", "format", *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_START_S, check=False)
        if done.returncode != 0:
            raise DeadlineExceeded(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")


def _archived(jars: Path) -> tuple[str, ...]:
    """The flag that has classes read from their archive, where it has been made."""
    archive = kafka_archive(jars)
    return (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()
