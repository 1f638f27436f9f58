"""Tests of `stream.feedback.service`: what is confirmed before a state is written, and what is lost is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.errors import BadState
from stream.feedback.service import FeedbackService, SkipWriter, _Folder
from stream.feedback.skips import Skips
from stream.messages.contract import Click
from stream.scoreboard.visit import Visit


class FakeProducer:
    """Keeps messages until it is flushed; `refuse`: says of each that it failed."""

    def __init__(self, *, refuse: bool = False, full: int = 0, stuck: bool = False) -> None:
        self.refuse, self.full, self.stuck = refuse, full, stuck
        self.waiting: list[tuple[tuple[Any, ...], Callable[..., None]]] = []
        self.sent: list[tuple[Any, ...]] = []

    def produce(self, *message: Any, on_delivery: Callable[..., None]) -> None:
        if self.full:
            self.full -= 1
            raise BufferError
        self.waiting.append((message, on_delivery))

    def poll(self, _timeout: float) -> int:
        return 0

    def flush(self, _timeout: float) -> int:
        if self.stuck:
            return len(self.waiting)
        for message, tell in self.waiting:
            self.sent.append(message)
            tell("refused" if self.refuse else None, message)
        self.waiting.clear()
        return 0


def writer(**options: Any) -> tuple[SkipWriter, FakeProducer]:
    producer = FakeProducer(**options)
    return SkipWriter(producer, "clicks"), producer


SKIPS = [Click("s", "i1", 1_700_000_000_000, "skip"), Click("ß", "i2", 1_700_000_000_000, "skip")]


def test_skips_go_to_the_clicks_keyed_by_session_however_full_the_queue() -> None:
    out, producer = writer(full=2)
    out.publish(SKIPS)
    out.confirm()
    assert [(topic, key) for topic, _, key in producer.sent] == [("clicks", b"s"), ("clicks", "ß".encode())]
    assert out.lost == 0


def test_skips_that_the_broker_refuses_are_counted() -> None:
    out, _ = writer(refuse=True)
    out.publish(SKIPS)
    out.confirm()
    assert out.lost == 2


def test_no_state_is_written_while_skips_before_it_are_not_confirmed(tmp_path: Path) -> None:
    out, producer = writer(stuck=True)
    folder = _Folder(tmp_path, Skips(), out)
    out.publish(SKIPS)
    with pytest.raises(OSError, match="2 skips"):
        folder.write(b"state")
    assert not (tmp_path / "scoreboard.state").exists()
    producer.stuck = False
    folder.write(b"state")
    assert (tmp_path / "scoreboard.state").read_bytes() == b"state"
    folder.close()


def test_what_happened_once_is_a_problem_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.feedback.service._SAID_S", 0.05)
    service = FeedbackService("127.0.0.1:1", tmp_path / "state", impressions=True)
    service._looked_at = time.monotonic()  # nobody is asked for the ends of the topics
    assert service._impressions is not None
    service._impressions.take(b"{", b"s", 0)
    service._writer.lost = 2
    service._look()
    assert {reason.partition(":")[0] for reason in service.health().reasons} == {
        "1 impressions were rejected",
        "2 skips were not confirmed by the broker",
    }
    time.sleep(0.1)
    service._look()
    health = service.health()
    assert (health.reasons, health.ready, health.unpublished) == ([], True, 2)
    assert health.impressions == {"rejected_not_json": 1}
    assert 'nextclick_feedback_problem{key="unpublished"} 0.0' in service.metrics.render().decode()
    service._writer.lost = 3
    service._look()
    assert "3 skips" in str(service.health().reasons)
    service._folder.close()


def test_what_sessions_skipped_comes_back_with_the_state(tmp_path: Path) -> None:
    skips, (out, _) = Skips(), writer()
    skips.heard(SKIPS[0], Visit(start=3, last=3, last_ms=0))
    folder = _Folder(tmp_path, skips, out)
    folder.write(b"state")
    folder.close()
    again = Skips()
    other = _Folder(tmp_path, again, out)
    other.restore()
    assert again.sessions == 1
    (tmp_path / "skips.state").write_bytes(b"\xc1")
    with pytest.raises(BadState, match="remove it"):
        other.restore()
    other.close()
