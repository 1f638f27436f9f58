"""`items`: what it sends, what it refuses before, and what it prints."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

import nextclick
from bench.rig.brokers.in_process import InProcessBroker
from export.items.item import Item
from export.items.table import ItemTable
from stream.items.load import send_items
from stream.items.snapshot import read_items_topic

pytestmark = pytest.mark.waits


Run = Callable[..., tuple[int, dict[str, Any], str]]

CSV = "item_id,available,price,attr.brand\na,true,1.5,x\nb,false,,y|z\nc,,-1,\nb,true,2,y\n"


@pytest.fixture(scope="module")
def broker() -> Iterator[InProcessBroker]:
    broker = InProcessBroker()
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"{tmp_path.name.replace('_', '-')}."[-60:]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broker: InProcessBroker, prefix: str
) -> Run:
    """Run `items`: its exit code, its last line of JSON, and what it said."""
    AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(f"{prefix}items", timeout=10)

    def command(*words: str, json_too: bool = True, there: tuple[str, ...] = ()) -> tuple[int, dict[str, Any], str]:
        there = there or ("--bootstrap-servers", broker.bootstrap, "--topic-prefix", prefix)
        last = ("--json",) if json_too else ()
        monkeypatch.setattr(sys, "argv", ["nextclick", "items", *words, *there, *last])
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        found = capsys.readouterr()
        lines = found.out.splitlines()
        return int(ended.value.code or 0), json.loads(lines[-1]) if lines and json_too else {}, found.out + found.err

    return command


@pytest.fixture
def on_topic(broker: InProcessBroker, prefix: str) -> Callable[[], ItemTable]:
    from stream.topic_names import Topics

    return lambda: read_items_topic(broker.bootstrap, Topics.named(prefix=prefix)).table


@pytest.fixture
def put(broker: InProcessBroker, prefix: str) -> Callable[..., int]:
    from stream.topic_names import Topics

    return lambda *items: send_items(items, [], broker.bootstrap, Topics.named(prefix=prefix))


def by_id(table: ItemTable) -> dict[str, Item]:
    return {item.item_id: item for item in table}


def test_load_sends_what_is_good_and_counts_the_rest(
    run: Run, on_topic: Callable[[], ItemTable], tmp_path: Path
) -> None:
    path = tmp_path / "items.csv"
    path.write_text(CSV)
    code, found, said = run("load", str(path), "--max-bad-share", "0.5")
    assert code == 0
    assert (found["sent"], found["gone"], found["refused"], found["duplicates"]) == (2, 0, {"out_of_range_price": 1}, 1)
    assert "out_of_range_price at items.csv:4" in said
    assert by_id(on_topic()) == {
        "a": Item("a", attributes={"brand": ("x",)}, price=1.5),
        "b": Item("b", attributes={"brand": ("y",)}, price=2.0),
    }


def test_load_replace_removes_what_left_and_sends_what_changed_only(
    run: Run, put: Callable[..., int], on_topic: Callable[[], ItemTable], tmp_path: Path
) -> None:
    put(Item("a", attributes={"brand": ("x",)}, price=1.5), Item("b"), Item("old"))
    path = tmp_path / "items.csv"
    path.write_text("item_id,price,attr.brand\na,1.5,x\nb,2,y\n")
    code, found, _ = run("load", str(path), "--replace")
    assert (code, found["sent"], found["gone"], found["unchanged"]) == (0, 1, 1, 1)
    table = on_topic()
    assert set(by_id(table)) == {"a", "b"}
    assert table.is_gone("old")


def test_load_replace_that_would_remove_most_is_refused_and_sends_nothing(
    run: Run, put: Callable[..., int], on_topic: Callable[[], ItemTable], tmp_path: Path
) -> None:
    put(*(Item(f"i{number}") for number in range(10)))
    path = tmp_path / "items.csv"
    path.write_text("item_id,price\ni0,2\n")
    code, _, said = run("load", str(path), "--replace")
    assert (code, "9 of the 10 items" in said) == (2, True), said
    assert len(on_topic()) == 10
    code, found, _ = run("load", str(path), "--replace", "--max-gone-share", "1")
    assert (code, found["gone"], len(on_topic())) == (0, 9, 1)


def test_load_of_a_bad_file_or_without_the_topic_is_refused(run: Run, broker: InProcessBroker, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(CSV)
    code, _, said = run("load", str(path))
    assert (code, "1 of 4 lines are bad" in said) == (2, True), said
    there = ("--bootstrap-servers", broker.bootstrap, "--topic-prefix", "nobody-made-this.")
    code, _, said = run("load", str(path), "--max-bad-share", "1", there=there)
    assert (code, "nextclick topics create" in said) == (2, True), said


def test_show_says_what_is_in_force_and_what_workers_do(run: Run, put: Callable[..., int]) -> None:
    put(Item("a", available=False), Item("7", boost=2.0, attributes={"brand": ("x",)}))
    code, found, _ = run("show", "7.0", "a", "never")
    assert code == 0
    known, off, unknown = found["items"]
    assert (known["item_id"], known["state"], known["attributes"]) == ("7", "known", {"brand": ["x"]})
    assert "odds times 2" in known["lists"]
    assert "not available" in off["lists"]
    assert (unknown["state"], "as if available" in unknown["lists"]) == ("unknown", True)
    code, _, said = run("show", "7", json_too=False)
    assert (code, "brand: x" in said) == (0, True)


def test_set_changes_what_it_is_told_and_keeps_the_rest(
    run: Run, put: Callable[..., int], on_topic: Callable[[], ItemTable]
) -> None:
    put(Item("a", attributes={"brand": ("x",)}, price=1.5, created_ts=0), Item("b", boost=3.0))
    assert run("set", "a", "new", "--unavailable", "--boost", "0.5")[0] == 0
    table = on_topic()
    assert table.get("a") == Item("a", False, {"brand": ("x",)}, 1.5, 0.5, 0)
    assert table.get("new") == Item("new", available=False, boost=0.5)
    assert table.get("b") == Item("b", boost=3.0)
    code, found, _ = run("set", "a", "--available", "--price", "0")
    assert (code, found["items"][0]["available"], found["items"][0]["price"]) == (0, True, 0.0)
    assert run("set", "b", "--gone")[0] == 0
    assert on_topic().is_gone("b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a",), "say what is to change"),
        (("a", "--gone", "--available"), "say what is to change"),
        (("a", "--boost", "0"), "boost must be"),
        (("a", "--price", "-1"), "price must be"),
        (("null", "--available"), "stands for nothing"),
        (("null", "--gone"), "'null' is no item id: it stands for nothing"),
        (("a\tb", "--gone"), "holds control characters"),
    ],
)
def test_set_of_what_can_not_be_is_refused_and_sends_nothing(
    run: Run, on_topic: Callable[[], ItemTable], words: tuple[str, ...], message: str
) -> None:
    code, _, said = run("set", *words)
    assert (code, message in said) == (2, True), said
    assert len(on_topic()) == 0


def test_stats_count_items_and_attributes(run: Run, put: Callable[..., int]) -> None:
    put(Item("a", available=False, price=1.0), Item("b", boost=2.0, attributes={"brand": ("x", "y")}))
    put(Item("c", attributes={"brand": ("x",)}), Item("c", attributes={"brand": ("x",)}))
    code, found, _ = run("stats")
    assert code == 0
    assert {name: found[name] for name in ("items", "unavailable", "gone", "boosted", "with_price", "messages")} == {
        "items": 3, "unavailable": 1, "gone": 0, "boosted": 1, "with_price": 1, "messages": 4
    }  # fmt: skip
    assert found["attributes"] == {"brand": {"items": 2, "values": 2, "common": {"x": 2, "y": 1}}}
    assert found["refused"] == {}
