"""A table of items as a file of JSON lines, as the readers take it."""

import os
from pathlib import Path

from export.items.json_items import encode_item
from export.items.table import ItemTable

__all__ = ["write_items"]


def write_items(table: ItemTable, path: Path) -> int:
    """Write the items that are there, replacing the file at once; how many. OSError where it can't be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with partial.open("wb") as file:
            for item in table:
                file.write(encode_item(item) + b"\n")
                count += 1
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return count
