"""What a training knows of the items: their features by catalogue id, and those that nobody has clicked yet.

Legend: V catalogue ids, N newcomers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec

from export.bundle.vocabulary import Vocabulary
from export.items.features import FeatureRows, FeatureVocabulary
from export.items.item import Item
from export.items.table import ItemTable
from model.data.items.read import read_items
from model.errors import DataError
from model.nets.config import TowerConfig
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["ItemFeatures", "KnownItems", "Newcomers", "features_of", "has_feature", "read_known_items"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemFeatures:
    """Features of a catalogue."""

    vocabulary: FeatureVocabulary
    rows: FeatureRows  # of V + 1 items; the first is padding, which has none

    @property
    def known(self) -> int:
        """Items of the catalogue that have a feature."""
        return int((self.rows.counts > 0).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newcomers:
    """Items that nobody has clicked yet, and whose features say where they belong."""

    item_ids: tuple[str, ...]  # N shop ids
    rows: FeatureRows  # of N items


class KnownItems:
    """The items that a training is given: a table of them, and which features there are."""

    def __init__(self, items: Iterable[Item], config: TowerConfig) -> None:
        """Learn the features of a table, or of any items. DataError where no item has an attribute or a price."""
        self._table = items if isinstance(items, ItemTable) else _table_of(items)
        self.vocabulary = FeatureVocabulary.learn(
            self._table, most=config.most, least=config.least, shared=config.shared, bands=config.bands
        )
        if self.vocabulary.size == 1 + config.shared and not any(map(has_feature, self._table)):
            raise DataError(
                f"none of the {len(self._table):,} items has an attribute or a price: there is nothing to learn from "
                "them; name columns as docs/items.md says, or leave out --items"
            )

    def __len__(self) -> int:
        return len(self._table)

    def features(self, catalogue: Vocabulary) -> ItemFeatures:
        """Return the features of catalogue ids 0 to V."""
        rows = self.vocabulary.encode(chain([None], map(self._table.get, catalogue.items)))
        return ItemFeatures(vocabulary=self.vocabulary, rows=rows)

    def newcomers(self, catalogue: Vocabulary) -> Newcomers:
        """Return the available items that are not in the catalogue and have a feature, by their shop id."""
        cold = self.newcomer_ids(catalogue)
        return Newcomers(item_ids=tuple(cold), rows=self.vocabulary.encode(map(self._table.get, cold)))

    def newcomer_ids(self, catalogue: Vocabulary) -> list[str]:
        """Return the shop ids of `newcomers`, in their order."""
        new = (item for item in self._table if item.item_id not in catalogue)
        return sorted(item.item_id for item in new if item.available and has_feature(item))

    def digest(self) -> str:
        """Return the SHA-256, in hex, of what a training sees of them."""
        content = hashlib.sha256(self.vocabulary.to_bytes())
        for item_id in sorted(item.item_id for item in self._table):
            item = self._table.get(item_id)
            assert item is not None, "nobody else writes into this table"
            content.update(msgspec.json.encode((item_id, item.available, sorted(item.attributes.items()), item.price)))
        return content.hexdigest()


def _table_of(items: Iterable[Item]) -> ItemTable:
    table = ItemTable()
    for item in items:
        table.put(item)
    return table


def features_of(
    items: KnownItems | None, catalogue: Vocabulary, on_progress: OnProgress = ignore
) -> ItemFeatures | None:
    """Return the features of a training's catalogue, and say how many items have one; None without items."""
    if items is None:
        return None
    found = items.features(catalogue)
    counts = f"{found.known:,} of {len(catalogue):,} clicked items have an attribute or a price"
    own = f"{len(found.vocabulary.values):,} values have a row of their own"
    on_progress(Progress(stage="items", message=f"{counts}; {own}, the rest share {found.vocabulary.shared:,}"))
    if not found.known:
        on_progress(Progress(stage="items", message="warning: are the items' ids those of the clicks?"))
    return found


def read_known_items(path: Path, config: TowerConfig, on_progress: OnProgress = ignore) -> KnownItems:
    """Read a file of items, and say what was found. DataError where it can't be read, or says nothing."""
    table, report = read_items(path)
    for message in (report.summary(), *report.shown()):
        on_progress(Progress(stage="items", message=message))
    return KnownItems(table, config)


def has_feature(item: Item) -> bool:
    """Return whether there is something to learn from an item beside its clicks."""
    return item.price is not None or any(item.attributes.values())
