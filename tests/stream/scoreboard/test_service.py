"""The scoreboard at work: it counts, follows experiments, stops what does harm, and says what is wrong."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.rig.brokers.process import wait_for
from export.errors import ConfigError
from export.experiments.experiment import BUCKETS
from stream.errors import BrokerUnavailable, TopicError
from stream.experiments.lifecycle import Announced
from stream.messages.announcements import announce_experiment
from stream.scoreboard.guard import Breach, GuardConfig
from stream.scoreboard.service import ScoreboardService, ServiceConfig
from stream.topic_names import Topics
from tests.stream.scoreboard.boards import TWO
from tests.stream.scoreboard.shop import Shop

QUICK: dict[str, Any] = {"guard_every_s": 0.1, "history_every_s": 0.1, "tick_s": 0.1}


@contextmanager
def running(bootstrap: str, config: ServiceConfig) -> Iterator[ScoreboardService]:
    service, stop = ScoreboardService(bootstrap, config=config), threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        yield service
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def harm(shop: Shop, sessions: int) -> None:
    """Sessions of two variants: of the control every second click is a hit, of the challenger none."""
    for number in range(sessions):
        name, variant = f"s{number}", ("control", "challenger")[number % 2]
        for item in ("x", "a", "b", "c"):
            shop.click(name, item)
            shop.answer(name, "ab" if variant == "control" else "yz", experiment="two", variant=variant, model="1")
    shop.flush()


def test_variant_that_harms_is_stopped_for_all_workers_and_said_everywhere(
    bootstrap: str, shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    announce_experiment(bootstrap, TWO)
    with running(bootstrap, ServiceConfig(state=tmp_path, **QUICK)) as service:
        harm(shop, 1_200)
        wait_for("the variant to be stopped", lambda: Announced(bootstrap).read()["two"].variants[1].stopped, 60)
        wait_for("all to be read", lambda: service.figures()["clicks"]["judged"] == 3_600, 60)
        found = service.figures()
        text = service.metrics.render().decode()
    assert found["variants"]["challenger"]["stopped"].startswith("guard rail hit_rate: its hit rate is")
    assert (
        'nextclick_scoreboard_stopped_variants_total{experiment="two",rail="hit_rate",variant="challenger"} 1.0' in text
    )
    assert 'nextclick_scoreboard_hit_rate{experiment="two",variant="control"} 0.66' in text
    assert sum("was stopped by its guard rail" in record.message for record in caplog.records) == 1
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert history[-1]["clicks"]["judged"] == 3_600
    assert [line["at_ms"] for line in history] == sorted(line["at_ms"] for line in history)


def test_without_guard_rails_nothing_is_stopped_and_once_stops_nothing(bootstrap: str, shop: Shop) -> None:
    announce_experiment(bootstrap, TWO)
    harm(shop, 1_200)
    found = ScoreboardService(bootstrap, config=ServiceConfig(guard=None)).once(threading.Event())
    again = ScoreboardService(bootstrap).once(threading.Event())
    assert found == again
    assert found["experiments"]["two"]["against_control"]["challenger"]["difference_interval"][1] < -0.1
    assert not Announced(bootstrap).read()["two"].variants[1].stopped


def test_what_can_not_be_stopped_is_said_and_tried_again(
    bootstrap: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce_experiment(bootstrap, TWO)
    breach, tries = Breach("two", "challenger", "latency", "slow"), list[Breach]()

    def stop(self: object, one: Breach) -> None:
        tries.append(one)
        if len(tries) < 3:
            raise BrokerUnavailable("away")

    monkeypatch.setattr("stream.scoreboard.service.Stopper.stop", stop)
    with running(bootstrap, ServiceConfig(**QUICK)) as service:
        found = [[breach]]
        monkeypatch.setattr(service._guard, "look", lambda *_: found.pop() if found else [])
        wait_for("a reason", lambda: any("does harm (slow)" in why for why in service.health().reasons), 30)
        wait_for("it to be tried again", lambda: len(tries) == 3, 30)
        wait_for("it to be over", lambda: not service.health().reasons, 30)


def test_sessions_that_are_not_in_the_promised_shares_are_a_problem(bootstrap: str, shop: Shop) -> None:
    first, second = TWO.variants
    uneven = (msgspec.structs.replace(first, share=1_000), msgspec.structs.replace(second, share=BUCKETS - 1_000))
    announce_experiment(bootstrap, msgspec.structs.replace(TWO, variants=uneven))
    harm(shop, 400)
    with running(bootstrap, ServiceConfig(guard=None, **QUICK)) as service:
        wait_for("a reason", lambda: any("promised shares: two" in why for why in service.health().reasons), 60)
        assert service.health().ready


def test_health_metrics_and_scores_are_served(bootstrap: str, shop: Shop) -> None:
    with running(bootstrap, ServiceConfig(**QUICK)) as service:
        web = service.web("127.0.0.1", 0)
        port = asyncio.run(web.start())
        try:
            shop.click("s", "a")
            shop.answer("s")
            shop.flush()
            wait_for("the click", lambda: service.health().lists == 1, 30)
            asked = {
                path: urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read()
                for path in ("/health", "/metrics", "/scores")
            }
        finally:
            asyncio.run(web.stop())
    assert json.loads(asked["/health"])["clicks"] == 1
    assert json.loads(asked["/scores"])["models"]["7"]["lists"] == 1
    assert b'nextclick_scoreboard_all_clicks{outcome="first"} 1.0' in asked["/metrics"]


def test_broker_that_does_not_answer_makes_it_unready_and_a_topic_that_is_gone_ends_it(
    bootstrap: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = []

    def look(_: object) -> None:
        if failures:
            raise failures[0]

    monkeypatch.setattr("stream.scoreboard.reader.Scoreboard.look", look)
    service, stop, ended = ScoreboardService(bootstrap, config=ServiceConfig(**QUICK)), threading.Event(), list[Any]()

    def run() -> None:
        try:
            service.run(stop)
        except TopicError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for("it to be ready", lambda: service.health().ready, 30)
    failures.append(BrokerUnavailable("the topics cannot be looked at: no answer in time"))
    wait_for("it to be unready", lambda: not service.health().ready, 30)
    assert any("cannot be looked at" in reason for reason in service.health().reasons)
    failures.clear()
    wait_for("it to be ready again", lambda: service.health().ready, 30)
    failures.append(TopicError("clicks was deleted"))
    thread.join(30)
    assert [str(error) for error in ended] == ["clicks was deleted"]


def test_missing_topics_are_said(bootstrap: str) -> None:
    with pytest.raises(TopicError, match="there is no topic"):
        ScoreboardService(bootstrap, Topics.named({"clicks": "not there!".replace(" ", "-").replace("!", "")})).once(
            threading.Event()
        )


def test_state_that_can_not_be_kept_is_refused_at_the_start(bootstrap: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="can't keep its state in"):
        ScoreboardService(bootstrap, config=ServiceConfig(state=tmp_path / "file"))
    with pytest.raises(ConfigError, match="above 0 seconds"):
        ServiceConfig(tick_s=0.0)
    with pytest.raises(ConfigError, match="guard rails"):
        GuardConfig(window=0)
