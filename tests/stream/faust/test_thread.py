"""The consumer's thread, where it ends later than the worker."""

import asyncio
import threading

import pytest
from mode.threads import QueueServiceThread

from stream.faust.thread import LeanThread, Outlived


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
