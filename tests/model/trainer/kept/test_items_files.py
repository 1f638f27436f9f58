"""Tests of model/trainer/kept/items_files.py: a cycle's file of items."""

from pathlib import Path

import pytest

from export.items.item import Item
from export.items.table import ItemTable
from model.data.items.read import read_items
from model.trainer.kept.items_files import ItemsFiles
from tests.model.trainer.place import FakeChild, Place


class FakeItems:
    """What the topic says."""

    def __init__(self) -> None:
        self.table = ItemTable()
        self.waited = 0

    def wait(self, timeout_s: float) -> None:
        self.waited += 1


def test_cycle_keeps_its_file_until_another_one_begins(tmp_path: Path) -> None:
    items = FakeItems()
    files = ItemsFiles(tmp_path, items)
    assert files.of("default-000001") == ""
    items.table.put(Item("a", attributes={"brand": ("x",)}))
    first = Path(files.of("default-000001"))
    items.table.put(Item("b"))
    assert Path(files.of("default-000001")) == first
    assert list(read_items(first).table) == [Item("a", attributes={"brand": ("x",)})]
    second = Path(files.of("default-000002"))
    assert not first.exists()
    assert len(read_items(second).table) == 2
    assert items.waited == 3


def test_items_with_nothing_to_learn_from_hinder_no_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A shop that says of one item that it is sold out has said nothing else: cycles were skipped for that."""
    items = FakeItems()
    items.table.put(Item("a", available=False))
    with caplog.at_level("INFO"):
        assert ItemsFiles(tmp_path, items).of("default-000001") == ""
    assert "1 items are known, none by an attribute or a price" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_training_is_told_of_the_items_and_without_any_of_nothing(tmp_path: Path) -> None:
    items = FakeItems()
    items.table.put(Item("a", price=3.0))
    place = Place(tmp_path / "with")
    place.trainer._items = ItemsFiles(place.folder / "work", items)
    place.once()
    assert [item.item_id for item in read_items(FakeChild.tasks[-1].items).table] == ["a"]
    place = Place(tmp_path / "without")
    place.once()
    assert FakeChild.tasks[-1].items == ""
