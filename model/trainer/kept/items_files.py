"""What the shop says about its items, as a file for a cycle: the same one for as long as the cycle is open."""

from __future__ import annotations

import logging
from pathlib import Path

from model.data.items.write import write_items
from model.data.known_items import has_feature
from model.trainer.ports import Items

__all__ = ["ItemsFiles"]

log = logging.getLogger(__name__)

_WAIT_S = 60.0  # for the items to be read to the end that their topic has now


class ItemsFiles:
    """The files in a trainer's work folder; those of cycles that are over are removed."""

    def __init__(self, work: Path, items: Items | None) -> None:
        """items: None where nobody tells of them."""
        self._work, self._items = work, items

    def of(self, cycle: str) -> str:
        """Return the path of a cycle's file, written unless it is there; "" where nothing is known of items, or only
        whether they are available: there is nothing to learn from that."""
        if self._items is None:
            return ""
        path = self._work / f"items-{cycle}.jsonl"
        for other in self._work.glob("items-*.jsonl"):
            if other != path:
                other.unlink(missing_ok=True)
        if not path.exists():
            self._items.wait(_WAIT_S)
            table = self._items.table
            if not any(map(has_feature, table)):
                if len(table):
                    said = "%s items are known, none by an attribute or a price: cycle %s learns from clicks alone"
                    log.info(said, f"{len(table):,}", cycle)
                return ""
            log.info("%s items are known to cycle %s", f"{write_items(table, path):,}", cycle)
        return str(path)
