"""Data sets whose items may be known: sessions in three parts over one catalogue, and what is said of its items."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.data.datasets import make_parts, require_files, split_by_column
from demo.simulated.interested import Histories, InterestedConfig, histories, items_of
from demo.simulated.shop import Shop as SimulatedShop
from demo.simulated.stock import ShopConfig
from export.bundle.vocabulary import Vocabulary
from export.items.item import Item
from model.data.known_items import KnownItems
from model.data.log import SessionLog
from model.nets.config import TowerConfig

__all__ = ["SHOPS", "SPARSE", "Shop", "beauty_items", "beauty_sessions", "log_of", "shop_of"]

SHOPS = ("beauty", "recent", "tmall", "simulated")
SPARSE = ("nowplaying", "large_ciao")  # few sessions for many items; nothing is said of these
Sessions = dict[str, list[list[str]]]  # of train, valid and test, by shop id


@dataclass(frozen=True, kw_only=True, eq=False)
class Shop:
    """Sessions, all in the catalogue of train, and the items where anything is known of them."""

    train: SessionLog
    valid: SessionLog
    test: SessionLog
    items: KnownItems | None = None
    wanted: tuple[frozenset[int], ...] = ()  # simulated: of each test session, the categories it followed by then
    category: NDArray[np.int64] | None = None  # simulated: (V + 1,) of each catalogue id, -1 for padding


def shop_of(name: str, folder: Path, *, sessions: int, seed: int = 0) -> Shop:
    """Return a data set of `folder` with at most so many training sessions, and a tenth as many to test."""
    if name == "simulated":
        return _simulated(sessions, seed)
    if name == "beauty":
        found = beauty_sessions(folder)
        return replace(_of(found, sessions), items=KnownItems(beauty_items(folder), TowerConfig()))
    return _of(_sessions_of(name, folder), sessions)


def beauty_items(folder: Path) -> list[Item]:
    """Return Beauty's items with their categories and brands, which have numbers for names."""
    require_files("beauty", ["beauty_items.parquet"], folder)
    rows = pq.read_table(folder / "beauty_items.parquet").to_pydict()
    pairs = zip(rows["item_id"], rows["attributes"], strict=True)
    return [Item(item_id=str(name), attributes={"attributes": tuple(map(str, values))}) for name, values in pairs]


def beauty_sessions(folder: Path) -> Sessions:
    """Return Beauty's histories by its own split of the users."""
    require_files("beauty", ["beauty.parquet"], folder)
    table = pq.read_table(folder / "beauty.parquet", columns=["session_id", "item_id", "split"]).to_pydict()
    found: dict[str, dict[int, list[str]]] = {"train": {}, "valid": {}, "test": {}}
    for user, item, split in zip(table["session_id"], table["item_id"], table["split"], strict=True):
        found[split].setdefault(user, []).append(str(item))
    return {split: list(users.values()) for split, users in found.items()}


def log_of(sessions: Iterable[list[str]], vocabulary: Vocabulary) -> SessionLog:
    """Return a log of sessions of shop ids, without items that the vocabulary lacks, and then those of one click."""
    encoded = [ids for items in sessions if len(ids := vocabulary.encode(items)) > 1]
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    return SessionLog(
        items=np.concatenate([np.array(ids, np.int32) for ids in encoded]),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        ts=np.arange(int(lengths.sum()), dtype=np.int64),
        vocabulary=vocabulary,
    )


def _of(sessions: Sessions, most: int) -> Shop:
    """Return the newest `most` sessions of train, and a tenth as many of the others, evenly."""
    train = sessions["train"][-most:]
    catalogue = Vocabulary(sorted({item for items in train for item in items}))
    valid, test = (log_of(sessions[name], catalogue).thinned(max(1, most // 10)) for name in ("valid", "test"))
    return Shop(train=log_of(train, catalogue), valid=valid, test=test)


def _sessions_of(name: str, folder: Path) -> Sessions:
    if name in ("tmall", "nowplaying"):
        require_files(name, [f"{name}.parquet"], folder)
        tables = split_by_column(pq.read_table(folder / f"{name}.parquet"))
        return {part: _grouped(table) for part, table in tables.items()}
    if name == "large_ciao":  # has no split of its own: the newest tenth of the users, and the tenth before
        every = _grouped(pq.read_table(folder / "large_ciao.parquet", columns=["session_id", "item_id"]))
        tenth = len(every) // 10
        return {"train": every[: -2 * tenth], "valid": every[-2 * tenth : -tenth], "test": every[-tenth:]}
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
        parts = make_parts(name, folder, Path(scratch))
        return {part: _grouped(pq.read_table(getattr(parts, part))) for part in ("train", "valid", "test")}


def _grouped(table: pa.Table) -> list[list[str]]:
    """Return the sessions of a table that is sorted by time, in the order of their last click."""
    found: dict[int, list[str]] = {}
    last: dict[int, int] = {}
    rows = zip(table["session_id"].to_numpy().tolist(), table["item_id"].to_numpy().tolist(), strict=True)
    for place, (session, item) in enumerate(rows):
        found.setdefault(session, []).append(str(item))
        last[session] = place
    return [found[session] for session in sorted(found, key=last.__getitem__)]


def _simulated(most: int, seed: int) -> Shop:
    shop = SimulatedShop(ShopConfig())
    tenth = max(1, most // 10)
    all_of = histories(shop, InterestedConfig(shoppers=most + 2 * tenth, seed=seed + 1))
    names, items = shop.item_ids(), items_of(shop)
    catalogue = Vocabulary(names)
    train, valid, test = (_cut(all_of, *part) for part in ((0, most), (most, most + tenth), (most + tenth, None)))
    logs = {
        name: SessionLog(
            items=(part.items + 1).astype(np.int32),
            offsets=part.offsets,
            ts=np.arange(len(part.items), dtype=np.int64),
            vocabulary=catalogue,
        )
        for name, part in (("train", train), ("valid", valid), ("test", test))
    }
    return Shop(
        **logs,
        items=KnownItems(items, TowerConfig()),
        wanted=tuple(_followed(test, one) for one in range(len(test.category))),
        category=np.concatenate([[-1], shop.category]),
    )


def _cut(whole: Histories, first: int, end: int | None) -> Histories:
    offsets = whole.offsets[first : None if end is None else end + 1]
    clicks = slice(int(offsets[0]), int(offsets[-1]))
    return Histories(whole.items[clicks], offsets - offsets[0], whole.interest[clicks], whole.category[first:end])


def _followed(part: Histories, shopper: int) -> frozenset[int]:
    """Return the categories of the interests that a shopper followed in the part of the history that is given."""
    start, end = part.offsets[shopper], part.offsets[shopper + 1]
    given = part.interest[start : start + int((end - start) * 0.8)]
    return frozenset(part.category[shopper, np.unique(given)].tolist())
