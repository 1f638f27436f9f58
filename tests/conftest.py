"""The broker and the Redis server of a test run, what is said about them, and the rule that CI skips no broker test."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from bench.rig.brokers.base import Broker, BrokerMissing
from bench.rig.brokers.choose import Choice, choose_broker
from bench.rig.brokers.redis_server import RedisServer

settings.register_profile("patient", deadline=None)  # how long an example takes on a busy machine is no test
settings.load_profile("patient")

_choice = pytest.StashKey[Choice]()
_notes = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_notes] = []


@pytest.fixture(scope="session")
def session_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker of the whole run, started when the first test asks for it."""
    choice = choose_broker(os.environ)
    request.config.stash[_choice] = choice
    if choice.broker is None:
        pytest.skip("no broker: " + "; ".join(choice.missing))
    yield choice.broker
    choice.broker.close()


@pytest.fixture
def broker(session_broker: Broker) -> Broker:
    """A running broker without topics. It may be librdkafka's in-process cluster: enough for one worker."""
    session_broker.clean()
    return session_broker


@pytest.fixture
def real_broker(broker: Broker) -> Broker:
    """A running Apache Kafka without topics; skips where none can be had."""
    if not broker.real:
        pytest.skip("needs Apache Kafka: install Java 17 and Maven, or Docker, or set KAFKA_BOOTSTRAP_SERVERS")
    return broker


@pytest.fixture
def restartable_broker(real_broker: Broker) -> Iterator[Broker]:
    """An Apache Kafka that the test may stop; it runs again afterwards."""
    if not real_broker.restartable:
        pytest.skip("needs a broker that the tests may stop: unset KAFKA_BOOTSTRAP_SERVERS")
    yield real_broker
    real_broker.start()


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A running, empty Redis server."""
    try:
        server = RedisServer()
    except BrokerMissing as error:
        request.config.stash[_notes].append(f"redis: {error}")
        pytest.skip(str(error))
    server.start()
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped broker test is a failed one."""
    report = yield
    in_ci = os.environ.get("CI", "").lower() in ("1", "true", "yes")
    if in_ci and report.skipped and item.get_closest_marker("broker") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a broker test must not be skipped in CI\n{reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    choice = config.stash.get(_choice, None)
    lines = config.stash[_notes]
    if choice is not None:
        used = f"{choice.broker.label} at {choice.broker.bootstrap}" if choice.broker else "none"
        lines = [f"broker: {used}", *(f"not used, {reason}" for reason in choice.missing), *lines]
    if lines:
        terminalreporter.section("brokers")
        for line in dict.fromkeys(lines):
            terminalreporter.write_line(line)
