"""The consumer's thread: how it ends, also later than the worker, and what it says of errors."""

import asyncio
import threading
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from mode.threads import QueueServiceThread

from stream.faust.thread import LeanThread, Outlived, note_kafka_errors
from tests.stream.faust.fakes import FakeIntake, FakeThread, with_consumer


@pytest.fixture
def unhandled(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """The errors that threads died of."""
    found: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda died: found.append(died.exc_value))
    return found


def leave_behind(kind: type[QueueServiceThread]) -> threading.Thread:
    """The thread of a service whose worker gave up waiting for its end, as where a broker does not answer."""
    released = threading.Event()

    class Slow(kind):  # type: ignore[misc]
        async def on_thread_stop(self) -> None:
            await self.thread_loop.run_in_executor(None, released.wait)
            await super().on_thread_stop()

    async def work() -> threading.Thread:
        service = Slow()
        await service.start()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.stop(), 0.05)
        thread: threading.Thread | None = service._thread
        assert thread is not None
        return thread

    thread = asyncio.run(work())
    released.set()
    thread.join(10.0)
    assert not thread.is_alive()
    return thread


def test_thread_outlives_the_worker_ends_without_a_traceback(unhandled: list[BaseException | None]) -> None:
    assert leave_behind(Outlived).daemon  # it holds no process up
    assert unhandled == []
    assert issubclass(LeanThread, Outlived)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_thread_of_mode_outlives_the_worker_dies_of_it(unhandled: list[BaseException | None]) -> None:
    """What the seam is for: it can go once this fails."""
    leave_behind(QueueServiceThread)
    assert [str(error) for error in unhandled] == ["Event loop is closed"]


def test_thread_fails_while_the_worker_lives_is_told(unhandled: list[BaseException | None]) -> None:
    class Broken(Outlived):
        async def on_thread_stop(self) -> None:
            await super().on_thread_stop()
            raise RuntimeError("broken")

    async def work() -> None:
        service = Broken()
        await service.start()
        await service.stop()

    asyncio.run(work())
    assert [str(error) for error in unhandled] == ["broken"]


class FakeAIOKafka:
    """A consumer of aiokafka that is stopped while a fetch waits to be tried again."""

    def __init__(self) -> None:
        self._client = self
        self.closed = False

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        self.closed = True


def test_thread_stopped_while_a_fetch_waits_to_be_tried_again_ends_orderly() -> None:
    async def check(consumer: Any, _thread: FakeThread, intake: FakeIntake) -> None:
        thread, client = consumer._new_consumer_thread(), FakeAIOKafka()
        thread._consumer = client
        await thread.on_thread_stop()
        assert client.closed

    with_consumer(check)


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), ValueError("ours")])
def test_errors_of_requests_that_nobody_waits_for_are_quiet_only_if_they_are_kafkas(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level("INFO"):
        note_kafka_errors(loop, {"message": "Task exception was never retrieved", "exception": error})
    loop.close()
    assert [record.exc_info is None for record in caplog.records] == [isinstance(error, KafkaConnectionError)]
