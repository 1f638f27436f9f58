"""`similar`: one list by hand, and what is refused."""

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

import nextclick
from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import read_topic
from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle
from export.policy.config import Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.similar import Similar
from export.registry.registry import Registry
from stream.items.load import send_items
from stream.topic_names import Topics
from tests.export.ranking.test_similar import with_vectors

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    folder = tmp_path_factory.mktemp("similar")
    plain = toy_bundle(folder / "plain", items=40)
    return plain, with_vectors(plain, folder)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nextclick", "similar", *words])
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return command


@pytest.mark.parametrize("words", [("item-3",), ("show", "item-3"), ("--k", "4", "item-3")])
def test_similar_of_an_item_is_the_list_of_the_bundle(
    run: Run, bundles: tuple[Bundle, Bundle], words: tuple[str, ...]
) -> None:
    code, out, _ = run(*words, "--bundle", str(bundles[1].path), "--json")
    assert code == 0
    k = 4 if "--k" in words else 20
    [wanted] = SimilarLists(Similar(bundles[1]), Placement(name="", k=k, policy=Policy()), None, 0).of(["item-3"])
    assert wanted is not None
    assert json.loads(out.splitlines()[-1]) == {"items": [{"item_id": i, "score": s} for i, s in wanted]}
    assert "cosine" in run(*words, "--bundle", str(bundles[1].path))[1]


def test_item_that_is_unknown_or_a_bundle_without_vectors_is_refused(
    run: Run, bundles: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    code, _, error = run("never", "--bundle", str(bundles[1].path))
    assert (code, "does not know the item never" in error) == (2, True)
    code, _, error = run("item-3", "--bundle", str(bundles[0].path))
    assert (code, "train a new version" in error) == (2, True)
    assert run("--help")[0] == 0


def test_policy_makes_the_list_and_what_is_nothing_here_is_said(
    run: Run, bundles: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    policy, items = tmp_path / "lists.toml", tmp_path / "items.csv"
    policy.write_text(
        'blocked = ["item-1", "never"]\nexclude = ["seen"]\n[placements.home]\nk = 4\n'
        '[placements.page]\nk = 3\nfilter = {same = "brand", fill = false}\n'
    )
    items.write_text("item_id,attr.brand\n" + "".join(f"item-{n},b{n % 2}\n" for n in range(1, 41)))
    there = ("item-3", "--bundle", str(bundles[1].path), "--policy", str(policy))
    code, _, said = run(*there)
    assert (code, "choose one of them by --placement" in said) == (2, True)
    code, out, said = run(*there, "--placement", "page", "--catalogue", str(items), "--json")
    assert code == 0
    found = [int(one["item_id"].split("-")[1]) for one in json.loads(out.splitlines()[-1])["items"]]
    assert len(found) == 3
    assert {number % 2 for number in found} == {1}
    assert 1 not in found
    assert "exclude (seen), push" in said
    assert "does not know 1 of the 2 blocked items, such as 'never'" in said
    assert "--catalogue" in run(*there, "--placement", "page")[2]
    code, _, said = run("item-3", "--bundle", str(bundles[1].path), "--placement", "page")
    assert (code, "name it by --policy" in said) == (2, True)
    code, _, said = run("NULL", "--bundle", str(bundles[1].path))
    assert (code, "is no item id" in said) == (2, True)


@pytest.fixture
def shop(
    bundles: tuple[Bundle, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A broker with the topics, and the options of `publish` for it and a registry with a live model."""
    monkeypatch.setattr("export.registry.registry._try_out", lambda directory, _version: load_bundle(directory))
    registry = Registry(tmp_path / "registry")
    registry.create()
    registry.promote(registry.publish(bundles[1].path))
    broker = InProcessBroker()
    broker.start()
    for topic in ("p.items", "p.similar"):
        AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(topic, timeout=10)  # which makes it
    there = ("--bootstrap-servers", broker.bootstrap, "--topic-prefix", "p.")
    yield broker.bootstrap, ("publish", "--registry", str(tmp_path / "registry"), *there)
    broker.close()


def published(bootstrap: str) -> dict[str, list[str]]:
    found = {
        (one.key() or b"").decode(): json.loads(one.value() or b"{}") for one in read_topic(bootstrap, "p.similar")
    }
    return {name: [item["item_id"] for item in said["items"]] for name, said in found.items()}


@pytest.mark.waits
def test_publish_is_by_the_policy_once_and_following(
    run: Run, shop: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    bootstrap, publish = shop
    policy = tmp_path / "lists.toml"
    policy.write_text('[placements.page]\nk = 3\nblocked = ["item-1"]\n')
    words = (*publish, "--policy", str(policy), "--placement", "page")
    code, out, said = run(*words, "--json")
    assert (code, json.loads(out.splitlines()[-1])["sent"]) == (0, 40)
    assert "nothing for similar items: exclude (disliked), push" in said
    assert {len(found) for found in published(bootstrap).values()} == {3}
    assert not any("item-1" in found for found in published(bootstrap).values())

    best = published(bootstrap)["item-2"][0]
    send_items([], [best], bootstrap, Topics.named(prefix="p."))
    policy.write_text("[placements.page]\nk = 4\n")
    port, health = free_port(), dict[str, Any]()

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                health.update(json.loads(answer.read()))
        except (urllib.error.HTTPError, OSError):  # 503 until lists are published
            return False
        return True

    def end() -> None:
        try:
            wait_for("that lists are published", ask, 60)
        finally:
            if callable(signal.getsignal(signal.SIGTERM)):  # the command's; else it would end the tests
                os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=end)
    watcher.start()
    assert run(*words, "--follow", "--web-port", str(port))[0] == 0
    watcher.join()
    assert (health["turns"], health["placement"], health["items"]["gone"]) == (1, "page", 1)
    found = published(bootstrap)
    assert {len(one) for one in found.values()} == {4}
    assert not any(best in one for one in found.values())
