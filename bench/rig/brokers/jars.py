"""Apache Kafka's jars, fetched once by Maven from the pinned pom and kept under .cache/.

`python -m bench.rig.brokers.jars` fetches them and prints the folder.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.rig.brokers.base import BrokerMissing

__all__ = ["POM", "kafka_archive", "kafka_jars", "require_java"]

POM = Path(__file__).with_name("kafka") / "pom.xml"
_CACHE = Path(__file__).parents[3] / ".cache" / "kafka"
_OLDEST_JAVA = 17  # Kafka 4 runs on nothing older
_MAVEN_S = 300  # for 45 jars, 43 MB


def require_java() -> str:
    """Return the path of `java`; BrokerMissing when there is none, or one too old for Kafka."""
    java = shutil.which("java")
    hint = f"install a Java runtime, version {_OLDEST_JAVA} or newer (Debian: apt-get install openjdk-17-jre-headless)"
    if java is None:
        raise BrokerMissing(f"java is not on the PATH; {hint}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(\d+)', told.stderr + told.stdout)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        version = found[1] if found else "unknown"
        raise BrokerMissing(f"java has version {version}; {hint}")
    return java


def kafka_jars(cache: Path = _CACHE) -> Path:
    """Return the folder of the jars, fetched if they must be; BrokerMissing when Maven is missing or fails."""
    folder = cache / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerMissing(
            "mvn is not on the PATH and Kafka's jars are not cached; install Maven (Debian: apt-get install maven)"
        )
    cache.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="fetch-", dir=cache))
    try:
        _run_maven(maven, staging)
        _take_over(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def kafka_archive(jars: Path) -> Path:
    """Return where the archive of the classes of `jars` is, once it is made (archive.py)."""
    return jars.with_suffix(".jsa")


def _run_maven(maven: str, target: Path) -> None:
    command = [
        maven,
        "--quiet",
        "--batch-mode",
        "--strict-checksums",
        "--file",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MAVEN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BrokerMissing(f"Maven did not fetch Kafka's jars within {_MAVEN_S} s") from error
    if done.returncode != 0:
        raise BrokerMissing(f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr).strip()[-2000:]}")


def _take_over(staging: Path, folder: Path) -> None:
    """Move a finished download into place; another run may have been first, and then its copy is as good."""
    try:
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


if __name__ == "__main__":
    try:
        print(kafka_jars())
    except BrokerMissing as missing:
        sys.exit(str(missing))
