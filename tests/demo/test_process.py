"""What the demo changes in its process is put back."""

import os
import signal
import sys
import threading

from demo.process import Stop, signals, switch_interval


def test_signals_first_stops_second_hurries_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.event.is_set()
        assert not stop.hurry.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.hurry.is_set()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_signals_outside_the_main_thread_change_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    found: list[Stop] = []

    def work() -> None:
        with signals() as stop:
            found.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not found[0].event.is_set()
    assert signal.getsignal(signal.SIGINT) == before


def test_switch_interval_comes_back() -> None:
    before = sys.getswitchinterval()
    with switch_interval(0.001):
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
