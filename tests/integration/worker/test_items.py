"""Items through the topic: restored by a worker, in force within two seconds, in the table and in the lists."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Storefront
from bench.rig.workers import cli
from tests.integration.conftest import ITEMS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(topics: str, naming: tuple[str, ...]) -> Run:
    """Run `nextclick items`, which must go well; what it says in JSON."""

    def command(*words: str) -> dict[str, Any]:
        done: subprocess.CompletedProcess[str] = cli("items", *words, "--bootstrap-servers", topics, *naming, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return command


def test_item_switched_off_is_in_no_list_two_seconds_later_and_after_a_crash(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item_id,price\n" + "".join(f"item-{number},{number}\n" for number in range(1, ITEMS + 1)))
    assert run("load", str(path))["sent"] == ITEMS
    worker = start_worker(topics)
    worker.await_ready()
    found = worker.health()["items"]
    assert (found["items"], found["unavailable"], found["restored"], found["topic"]) == (ITEMS, 0, True, True)

    storefront.click("before", "item-1")
    storefront.flush()
    lists.await_answers(storefront.sent)
    best = lists.last["before"].items[0].item_id
    run("set", best, "--unavailable")
    confirmed = time.monotonic()
    wait_for("the change", lambda: worker.health()["items"]["unavailable"] == 1, 30)
    assert time.monotonic() - confirmed < 2
    storefront.click("after", "item-1")
    storefront.flush()
    lists.await_answers(storefront.sent)
    after = [one.item_id for one in lists.last["after"].items]
    assert best not in after
    assert len(after) == len(lists.last["before"].items)

    worker.kill()
    worker = start_worker(topics)
    worker.await_ready()
    found = worker.health()["items"]
    assert (found["items"], found["unavailable"], found["restored"]) == (ITEMS, 1, True)
    storefront.click("again", "item-1")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert best not in [one.item_id for one in lists.last["again"].items]
