"""Idle sessions leave the worker and the changelog, and stay away after a crash."""

from __future__ import annotations

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from export.registry.registry import Registry
from tests.integration.conftest import ITEMS, StartWorker
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

SHORT = ("--session-timeout-minutes", "0.05", "--session-grace-minutes", "0.01")
IDLE = 300  # sessions


def test_sessions_idle_are_forgotten_also_after_a_crash_and_their_next_click_starts_anew(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, changelog: str
) -> None:
    worker = start_worker(topics, *SHORT)
    worker.await_ready()
    for number in range(IDLE):
        storefront.click(f"idle{number}", f"item-{number % ITEMS + 1}")
    storefront.flush()
    lists.await_answers(storefront.sent)
    with Flow(storefront, rate=100, sessions=8, items=ITEMS, prefix="busy"):
        wait_for(
            "the idle sessions to be forgotten",
            lambda: worker.metric("nextclick_sessions_expired_total") >= IDLE,
            60,
        )
        assert worker.metric("nextclick_sessions") == 8
        assert 0 < worker.metric("nextclick_state_bytes") < 8 * 2000
        worker.kill()
    again = start_worker(topics, *SHORT)
    again.await_ready()
    lists.await_answers(storefront.sent)
    assert again.metric("nextclick_sessions") == 8, "the tombstones are in the changelog"
    storefront.click("idle7", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    fresh = [one for one in storefront.sent if one.click.session_id == "idle7"][-1:]
    assert_lists({"idle7": lists.last["idle7"]}, folded(fresh), ranker_of(registry, "1"))
    left = stored(read_topic(topics, changelog))
    assert {name for name in left if name.startswith("idle")} <= {"idle7"}
