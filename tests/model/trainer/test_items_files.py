"""Tests of model/trainer/items_files.py: a cycle's file of items."""

from pathlib import Path

from export.items.item import Item
from export.items.table import ItemTable
from model.data.items.read import read_items
from model.trainer.items_files import ItemsFiles
from tests.model.trainer.test_service import FakeChild, Place


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


def test_training_is_told_of_the_items_and_without_any_of_nothing(tmp_path: Path) -> None:
    items = FakeItems()
    items.table.put(Item("a"))
    place = Place(tmp_path / "with")
    place.trainer._items = ItemsFiles(place.folder / "work", items)
    place.once()
    assert [item.item_id for item in read_items(FakeChild.tasks[-1].items).table] == ["a"]
    place = Place(tmp_path / "without")
    place.once()
    assert FakeChild.tasks[-1].items == ""
