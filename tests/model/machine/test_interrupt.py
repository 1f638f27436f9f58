"""Signals to end are noted once, and do what they did before after that."""

import os
import signal
import threading

import pytest

from model.machine.interrupt import noting_end_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_is_noted(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with noting_end_signals() as noted:
        assert not noted
        os.kill(os.getpid(), number)
        assert (bool(noted), noted.exit_code) == (True, code)
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_second_interruption_ends_at_once() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a process has it that nobody changed it in
    with noting_end_signals() as noted:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert noted


def test_outside_of_the_main_thread_nothing_changes() -> None:
    before, inside = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with noting_end_signals() as noted:
            inside.append((bool(noted), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [(False, before)]
