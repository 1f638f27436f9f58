"""A full disk or a reader that has gone: one line on stderr and exit code 1, for every command that prints."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.rig.brokers.in_process import InProcessBroker
from export.bundle.bundle import Bundle
from export.registry.registry import Registry
from stream.messages.contract import Recommendation, RecommendedItem, Source, encode
from tests.export.conftest import bundle  # noqa: F401  # the fixture

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.program,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full"),
]


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def gone_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def run(stdout: int, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [sys.executable, "-m", "nextclick", *arguments],
            stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(stdout)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[dict[str, str]]:  # noqa: F811
    """A registry, a log, and a broker with recommendations."""
    folder = tmp_path_factory.mktemp("places")
    registry = Registry(folder / "registry")
    registry.create()
    registry.publish(bundle.path)
    rows = [f"{session},item-{item},{1_600_000_000_000 + session}" for session in range(9) for item in (1, 2, 3)]
    (folder / "log.csv").write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    broker = InProcessBroker()
    broker.start()
    yield {"registry": registry.url, "log": str(folder / "log.csv"), "bootstrap": broker.bootstrap, "out": str(folder)}
    broker.close()


@pytest.mark.parametrize("lost", [full_disk, gone_reader])
@pytest.mark.parametrize(
    "command",
    [
        "models list --registry {registry}",
        "models list --registry {registry} --json",
        "recommend --bundle {registry}/1 --items item-1 --k 5",
        "evaluate --data {log} --bundle {registry}/1 --cutoffs 5 --json",
        "evaluate --data {log} --train {log} --compare popularity next-item",
        "simulate {out}/simulated.csv --sessions 5",
    ],
)
def test_output_that_is_lost_is_one_line(places: dict[str, str], command: str, lost: Callable[[], int]) -> None:
    ended = run(lost(), tuple(command.format(**places).split()))
    assert ended.returncode == 1
    *before, line = ended.stderr.splitlines()
    assert line.startswith("error: the output could not be written to the end: ")
    assert ("reader has gone" in line) is (lost is gone_reader)
    assert not [other for other in before if re.search("Traceback|Exception|error", other)]


def test_help_and_version_on_a_full_disk_are_one_line() -> None:
    for arguments in (("--help",), ("--version",), ("train", "--help")):
        ended = run(full_disk(), arguments)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
        assert "No space left" in ended.stderr


@pytest.mark.parametrize("lost", [full_disk, gone_reader])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_watch_ends_with_its_reader(places: dict[str, str], form: tuple[str, ...], lost: Callable[[], int]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": places["bootstrap"]})
    one = Recommendation("s", [RecommendedItem("[b]", 1.0)], "1", "default", False, Source("clicks", 0, 0), 1, 1)
    producer.produce("recommendations", encode(one), b"s")
    producer.flush(30)
    ended = run(lost(), ("watch", "--bootstrap-servers", places["bootstrap"], "--from-beginning", *form))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("error: the output could not be written to the end: ")
