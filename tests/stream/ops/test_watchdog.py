"""When a worker counts as stuck."""

import threading

import pytest

from stream.ops.watchdog import EXIT_STUCK, Progress, Vitals, Watchdog


class Patient:
    """A watchdog with a patience of 10 s, checked every second by a clock of the test's own."""

    def __init__(self, *, answers: bool = True) -> None:
        self.now = 1000.0
        self.answers = answers
        self.vitals = Vitals(loop_at=1000.0, fetched_at=1000.0, finished=0, waiting=False)
        self.watchdog = Watchdog(lambda: self.vitals, lambda: self.answers, lambda _: None, patience_s=10.0)

    def after(self, seconds: int, *, loop: bool = True, fetch: bool = True, finish: bool = False) -> str | None:
        reason = None
        for _ in range(seconds):
            self.now += 1.0
            self.vitals.loop_at = self.now if loop else self.vitals.loop_at
            self.vitals.fetched_at = self.now if fetch else self.vitals.fetched_at
            self.vitals.finished += finish
            reason = reason or self.watchdog.check(1.0, self.now)
        return reason


def test_check_of_an_idle_worker_finds_nothing() -> None:
    assert Patient().after(100) is None


def test_check_of_a_busy_worker_finds_nothing() -> None:
    patient = Patient()
    patient.vitals.waiting = True
    assert patient.after(100, finish=True) is None


def test_check_while_clicks_wait_in_vain_finds_it_stuck() -> None:
    patient = Patient()
    patient.vitals.waiting = True
    assert patient.after(9) is None
    assert "none was finished" in str(patient.after(3))


def test_check_of_a_dead_fetcher_finds_it_stuck() -> None:
    assert "fetch loop" in str(Patient().after(16, fetch=False))


def test_check_of_a_blocked_event_loop_finds_it_stuck() -> None:
    assert "event loop" in str(Patient().after(16, loop=False))


def test_check_of_a_blocked_event_loop_is_told_from_what_it_blocks() -> None:
    patient = Patient()
    assert patient.after(3, fetch=False) is None, "its last turn was a little before"
    assert "event loop" in str(patient.after(13, loop=False, fetch=False))


def test_check_while_no_broker_answers_waits_for_it() -> None:
    patient = Patient(answers=False)
    patient.vitals.waiting = True
    assert patient.after(100) is None


def test_check_time_without_a_broker_does_not_count_however_it_ends() -> None:
    patient = Patient()
    patient.vitals.waiting = True
    assert patient.after(5) is None
    patient.answers = False
    assert patient.after(100) is None
    patient.answers = True
    assert patient.after(4) is None, "no second's wait for what the broker kept from it"
    assert "none was finished" in str(patient.after(3)), "what it waited before is not forgotten"


def test_check_asks_no_broker_that_the_worker_has_just_heard_of() -> None:
    patient = Patient(answers=False)
    patient.vitals.waiting = True
    for _ in range(11):
        patient.vitals.broker_at = patient.now
        reason = patient.after(1)
    assert "none was finished" in str(reason), "a broker that beats the heart's answers is there"


def test_check_sees_one_partition_that_waits_in_vain_while_others_go_on() -> None:
    patient = Patient()
    patient.vitals.waiting = True
    patient.vitals.trouble = "the broker did not confirm a message: unknown partition"
    for second in range(9):
        patient.vitals.partitions = {0: Progress(second, True), 1: Progress(7, True)}
        assert patient.after(1, finish=True) is None
    for second in range(9, 12):
        patient.vitals.partitions = {0: Progress(second, True), 1: Progress(7, True)}
        reason = patient.after(1, finish=True)
    assert "clicks of partition 1 wait" in str(reason)
    assert "unknown partition" in str(reason)


def test_check_of_a_partition_that_waits_for_a_long_recovery_finds_nothing() -> None:
    """A batch of it failed, all is taken over anew, and there are many rows."""
    patient = Patient()
    patient.vitals.waiting = True
    patient.vitals.partitions = {1: Progress(7, True)}
    for _ in range(60):
        patient.vitals.restored += 100_000
        assert patient.after(1, finish=True) is None
    assert "clicks of partition 1 wait" in str(patient.after(12, finish=True)), "others go on, it does not"


def test_check_of_a_partition_that_waits_now_and_then_finds_nothing() -> None:
    patient = Patient()
    for second in range(60):
        patient.vitals.partitions = {0: Progress(3, second % 8 > 0)}
        assert patient.after(1) is None


def test_check_after_the_process_was_stopped_does_not_count_that_time() -> None:
    patient = Patient()
    patient.vitals.waiting = True
    patient.now += 3600
    assert patient.watchdog.check(3600.0, patient.now) is None


def test_run_of_a_stuck_worker_asks_for_an_end_then_ends_the_process() -> None:
    reasons: list[str] = []
    codes: list[int] = []
    done = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        done.set()

    vitals = Vitals(loop_at=0.0, fetched_at=0.0, finished=0, waiting=True)
    watchdog = Watchdog(lambda: vitals, lambda: True, reasons.append, patience_s=0.2, grace_s=0.05, exit_process=end)
    watchdog.start()
    assert done.wait(10)
    assert (len(reasons), codes) == (1, [EXIT_STUCK])


def test_run_goes_on_after_a_look_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    looks = [RuntimeError("deque mutated during iteration")]
    stuck = Vitals(loop_at=0.0, fetched_at=0.0, finished=0, waiting=True)
    told = threading.Event()

    def look() -> Vitals:
        if looks:
            raise looks.pop()
        return stuck

    watchdog = Watchdog(look, lambda: True, lambda _: told.set(), patience_s=0.2, exit_process=lambda _: None)
    watchdog.start()
    assert told.wait(10)
    watchdog.stop()
    assert "could not look at the worker" in caplog.text
