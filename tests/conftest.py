"""The brokers and the Redis server of a test run, what is said about them, and the rule that CI skips no broker test.

Tests run side by side, in several processes (pytest-xdist). They share one broker, and each has topics and groups of
its own there; a test that stops or empties a broker gets one that only its own process uses.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

from bench.rig.brokers.base import Broker, BrokerMissing
from bench.rig.brokers.choose import choose_broker
from bench.rig.brokers.external import TEST_GROUPS
from bench.rig.brokers.process import start_process
from bench.rig.brokers.redis_server import RedisServer
from bench.rig.brokers.shared import BrokerHost, Shared, SharedBroker, ask_for_broker
from bench.rig.forks import Forks
from bench.rig.schema_registry import RegistryServer
from bench.rig.workers import started_by
from stream.topic_names import Topics
from tests.aside import set_aside, set_aside_what_is_new
from tests.quick import is_quick, mark_what_waits, watched

# A slow, busy machine is no failure
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What `make test-fast` takes: a quarter of the examples. What needs more than others is written as a multiple of them
settings.register_profile("quick", settings.get_profile("patient"), max_examples=25)
settings.load_profile("patient")

gc.disable()  # until the tests are collected

_FOLDER = "NEXTCLICK_TEST_RUN"  # variable of the folder where the processes of a run meet
_host = pytest.StashKey[BrokerHost]()
_done = pytest.StashKey[list[str]]()
_NEEDS_REAL = "needs Apache Kafka: install Java 17 and Maven, or Docker, or set KAFKA_BOOTSTRAP_SERVERS"


def pytest_configure(config: pytest.Config) -> None:
    """The process that controls the others hosts the broker; without others that is this one."""
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="nextclick-tests-"))
        os.environ[_FOLDER] = str(folder)  # for the processes started from here
        config.stash[_host] = BrokerHost(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    host = config.stash.get(_host, None)
    if host is not None:
        host.close()
        shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no process is left alone with it in the end, and what mostly waits (for
    brokers, for librdkafka's in-process cluster) in turn with what mostly computes, so that the cores always have some
    of it. How long a test may take says how long it does. Those that take a moment are last: they fill what is left."""
    mark_what_waits(items)
    groups: dict[str, list[pytest.Item]] = {"broker": [], "slow": [], "waits": []}
    for item in items:
        if (name := next(filter(item.get_closest_marker, groups), None)) is not None:
            groups[name].append(item)
    turns: dict[pytest.Item, float] = {}
    for group in groups.values():
        group.sort(key=lambda item: (_allowed_s(item), _is_tested_together(item.path)), reverse=True)
        turns |= {item: place / len(group) for place, item in enumerate(group)}
    items.sort(key=lambda item: turns.get(item, 1.0))


def pytest_collection_finish() -> None:
    set_aside()
    gc.enable()


def pytest_runtest_logfinish() -> None:
    set_aside_what_is_new()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test without a mark that says that it takes more than a moment fails where it does what takes more."""
    if not is_quick(item):
        return (yield)
    with watched() as item.stash[_done]:
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    if done := item.stash.get(_done, []):
        pytest.fail(f"{item.nodeid} {' and '.join(sorted(set(done)))}: mark it slow", pytrace=False)
    return result


def _allowed_s(item: pytest.Item) -> float:
    """Its own time limit; 0 without one."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark is not None else 0.0


@cache
def _is_tested_together(file: Path) -> bool:
    """Whether one process has to run all of a file."""
    text = file.read_text()
    takes_long = "pytest.mark.slow" in text or "pytest.mark.broker" in text
    moments = file.name == "test_imports.py"  # all but one
    return 'scope="module"' in text or not takes_long or moments


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file is tested by one process, for its fixtures' sake or because it takes a moment; but tests that take longer
    and share nothing, each by any, so that no process is left with a file of them in the end."""
    from xdist.scheduler import LoadScopeScheduling

    class FilesOrTests(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if _is_tested_together(config.rootpath / file) else nodeid

    config.option.loadscopereorder = False  # the order is ours
    return FilesOrTests(config, log)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A folder that all processes of this run share."""
    return Path(os.environ[_FOLDER])


@pytest.fixture(scope="module")
def translations(run_folder: Path) -> Iterator[None]:
    """Models of one shape are translated for ONNX once a run, and each graph is compared with its model."""
    import export.graph.onnx as exporter
    from tests.model.graphs import Translations

    patch = pytest.MonkeyPatch()
    patch.setattr(exporter, "_translate", Translations(exporter._translate, run_folder / "translations"))
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def translated_children(run_folder: Path) -> Iterator[None]:
    """The same for the processes that tests start, whatever starts them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TRANSLATIONS_OF_TESTS", str(run_folder / "translations"))
    patch.setenv("PYTHONPATH", str(Path(__file__).parent / "translated"), prepend=os.pathsep)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def forks(translated_children: None) -> Iterator[Forks]:
    """What starts the workers and commands of the tests: as forks of a server, which saves their imports."""
    forks = Forks()
    with started_by(forks.start):
        yield forks
    forks.close()


@pytest.fixture
def real_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers and commands of the test are started as an operator starts them."""
    monkeypatch.delenv("TRANSLATIONS_OF_TESTS")
    with started_by(start_process):
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Typer makes all commands anew for each call, some 30 ms: here once, as in a process of its own."""
    patch = pytest.MonkeyPatch()
    once = cache(typer.main.get_command)
    for name in ("typer.main.get_command", "typer.testing._get_command"):
        patch.setattr(name, once)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def session_broker(run_folder: Path) -> Broker:
    """The broker of the whole run, started when the first test asks for it."""
    shared = ask_for_broker(run_folder)
    try:
        return SharedBroker(shared)
    except BrokerMissing as error:
        pytest.skip(f"no broker: {error}")


@pytest.fixture(scope="session")
def own_session_broker(session_broker: Broker) -> Iterator[Broker]:
    """An Apache Kafka of this process alone, of the kind of the run's; started when its first test asks for it."""
    if not session_broker.real:
        pytest.skip(_NEEDS_REAL)
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") and not os.environ.get("NEXTCLICK_BROKER"):
        pytest.skip("needs a broker that the tests may stop: unset KAFKA_BOOTSTRAP_SERVERS")
    choice = choose_broker(os.environ)
    assert choice.broker is not None, "the run has a broker of this kind already"
    yield choice.broker
    choice.broker.close()


@pytest.fixture
def broker(session_broker: Broker) -> Broker:
    """A running broker for topics of the test's own. It may be librdkafka's in-process cluster: enough for one
    worker."""
    return session_broker


@pytest.fixture
def real_broker(broker: Broker) -> Broker:
    """A running Apache Kafka; skips where none can be had."""
    if not broker.real:
        pytest.skip(_NEEDS_REAL)
    return broker


@pytest.fixture
def restartable_broker(own_session_broker: Broker) -> Iterator[Broker]:
    """An Apache Kafka that the test may stop. No other test uses it meanwhile."""
    own_session_broker.start()
    yield own_session_broker
    own_session_broker.rest()


@pytest.fixture
def empty_broker(restartable_broker: Broker) -> Broker:
    """The same without any topic, for tests that look at, or play with, a whole cluster."""
    restartable_broker.clean()
    return restartable_broker


@pytest.fixture
def prefix() -> str:
    """What the names of this test's topics and groups begin with; no other test's do."""
    return f"{TEST_GROUPS}{uuid.uuid4().hex[:10]}."


@pytest.fixture
def names(prefix: str) -> Topics:
    """The names of this test's topics."""
    return Topics.named(prefix=prefix)


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Commands that a test runs in this process set levels, and other tests look at what is logged."""
    loggers = [logging.getLogger(name) for name in (None, "faust", "mode", "stream.faust", "aiokafka")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        if logger.level != level:  # else each of thousands of loggers would forget what it is
            logger.setLevel(level)


@pytest.fixture
def schemas() -> Iterator[RegistryServer]:
    """A schema registry that answers over HTTP."""
    server = RegistryServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running, empty Redis server."""
    try:
        server = RedisServer()
    except BrokerMissing as error:
        pytest.skip(f"redis: {error}")
    server.start()
    yield server
    server.stop()


def _of_redis(item: pytest.Item) -> bool:
    return bool({"redis_server", "redis_of_a_shop"} & set(getattr(item, "fixturenames", ())))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one, where it needs what is there: a broker, a program, Redis among them, or
    instructions of the processor."""
    report = yield
    in_ci = os.environ.get("CI", "").lower() in ("1", "true", "yes")
    if (
        in_ci
        and report.skipped
        and (any(map(item.get_closest_marker, ("broker", "program"))) or _of_redis(item))
        and not hasattr(report, "wasxfail")
    ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: such a test must not be skipped in CI\n{reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    host = config.stash.get(_host, None)
    if host is None or host.shared is None:
        return
    terminalreporter.section("brokers")
    for line in _lines(host.shared):
        terminalreporter.write_line(line)


def _lines(shared: Shared) -> list[str]:
    used = f"{shared.label} at {shared.bootstrap}" if shared.bootstrap else "none"
    return [f"broker: {used}", *(f"not used, {reason}" for reason in dict.fromkeys(shared.missing))]
