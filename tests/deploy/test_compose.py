"""`docker compose up` of deploy/, really run: a click goes in by kcat, a list comes out, every panel has data."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.toy import toy_bundle
from bench.rig.workers import cli
from deploy.grafana.dashboards import rows_of
from deploy.grafana.panels import BOARDS
from export.registry.registry import Registry
from tests.deploy.composed import Composed, missing
from tests.export.ranking.test_similar import with_vectors

pytestmark = [pytest.mark.container, pytest.mark.slow, pytest.mark.timeout(480)]

KAFKA, READ_API, PROMETHEUS = (
    "localhost:9092",
    "http://127.0.0.1:8086",
    "http://127.0.0.1:9090",
)  # as the file publishes
ITEMS = 40  # of which a list holds half
SESSIONS = 460  # 200 a variant are needed for an interval
ENOUGH = 1000  # clicks for a cycle, which ends soon, in failure, where they are one session's


@pytest.fixture(scope="module")
def composed(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """All services, with a registry of two versions."""
    if shutil.which("kcat") is None:
        missing("there is no kcat (Debian: apt-get install kcat)")
    folder = tmp_path_factory.mktemp("composed")
    found = Composed(folder, _registry(folder), image)
    try:
        found.up()
        yield found
    finally:
        found.down()


def _registry(folder: Path) -> Path:
    registry = Registry(folder / "registry")
    registry.create()
    for seed in (0, 1):
        place = folder / str(seed)
        place.mkdir()
        registry.publish(with_vectors(toy_bundle(place / "plain", items=ITEMS, k_max=30, seed=seed), place).path)
    registry.promote("1")
    return folder / "registry"


def send(*clicks: tuple[str, str]) -> None:
    """Clicks of a session on an item, by the README's words."""
    told = [{"session_id": key, "item_id": item, "ts": int(time.time() * 1000)} for key, item in clicks]
    lines = "".join(f"{one['session_id']}|{json.dumps(one)}\n" for one in told)
    words = ["kcat", "-P", "-b", KAFKA, "-t", "clicks", "-K", "|", "-X", "partitioner=murmur2_random"]
    subprocess.run(words, input=lines.encode(), timeout=30, check=True)


def lists() -> dict[str, dict[str, Any]]:
    """The newest list of each session."""
    words = ["kcat", "-C", "-b", KAFKA, "-t", "recommendations", "-e", "-q"]
    said = subprocess.run(words, capture_output=True, timeout=30, check=True).stdout
    return {one["session_id"]: one for one in map(json.loads, said.splitlines())}


def got(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def has_data(expr: str) -> bool:
    """Whether Prometheus answers with numbers. It refuses what is no PromQL."""
    found = got(f"{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': expr})}")["data"]["result"]
    return bool(found) and all(one["value"][1] != "NaN" for one in found)


def queries() -> set[tuple[str, str, str]]:
    """Dashboard, panel and query of all that is drawn."""
    return {
        (board.service, panel.title, query.expr)
        for board in BOARDS
        for _, panels in rows_of(board)
        for panel in panels
        for query in panel.queries
    }


def test_click_sent_by_kcat_comes_out_as_a_list_on_the_topic_in_redis_and_over_http(composed: Composed) -> None:
    send(("s-42", "item-7"))
    wait_for("the list on the topic", lambda: "s-42" in lists(), 60, every_s=0.5)
    found = lists()["s-42"]
    assert (len(found["items"]), found["model"], found["fallback"]) == (20, "1", False)
    assert json.loads(composed.execute("redis", "redis-cli", "get", "rec:s-42")) == found
    assert got(f"{READ_API}/recommendations/s-42")["items"] == found["items"]
    wait_for("popular items for who has no list", lambda: popular() == (20, "1", True), 30, every_s=0.5)
    expected = {name: service.get("scale", 1) for name, service in composed.services.items() if name != "topics"}
    assert composed.running() == expected, composed.logs()


def popular() -> tuple[int, str, bool] | None:
    """What `serve --fallback` has for a session without clicks: how many items, of which model, and marked as such."""
    with contextlib.suppress(OSError):  # 404 until it has read the model
        found = got(f"{READ_API}/recommendations/nobody")
        return len(found["items"]), found["model"], found["fallback"]
    return None


def test_every_panel_of_every_dashboard_has_data(composed: Composed) -> None:
    begun = cli("experiment", "start", "two", "--variant", "control=1:50", "--variant", "challenger=2:50",
                "--exposure", "100", "--registry", str(composed.registry), "--bootstrap-servers", KAFKA)  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    wait_for("variants to be served", lambda: has_data("sum(nextclick_variant_served) == 4"), 120, every_s=1)
    send(*[("lonely", "item-1")] * ENOUGH)
    wait_for("the cycle", lambda: has_data("nextclick_trainer_cycle_seconds"), 200, every_s=1)
    for item in 7, 9:
        send(*((f"t-{number}", f"item-{(number + item) % ITEMS + 1}") for number in range(SESSIONS)))
        time.sleep(1)
    left = queries()
    assert len(left) > 100

    def all_have_data() -> bool:
        left.difference_update([one for one in left if has_data(one[2])])
        return not left

    try:
        wait_for("data", all_have_data, 90, every_s=2)
    except AssertionError as error:
        raise AssertionError(f"without data: {sorted(left)}\n{composed.logs()}") from error


def test_rules_of_the_alerts_are_evaluated(composed: Composed) -> None:
    rules = [rule for group in got(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    assert [rule["name"] for rule in rules if rule["health"] not in ("ok", "unknown")] == []
    pages = [rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "page"]
    assert pages == [], "nothing is wrong"
