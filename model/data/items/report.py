"""What was read of files of items."""

from dataclasses import dataclass, field
from pathlib import Path

from export.errors import BadItem
from export.items.item import Item
from export.items.rules import judge_item
from model.data.readers.report import ReadReport, counts

__all__ = ["ItemsReport"]

_SHOWN = 8  # columns that were not read


@dataclass(slots=True)
class ItemsReport(ReadReport):
    """A line is one item, good or bad; `kept` counts the items in the table."""

    duplicates: int = 0  # lines of an item that a later line says again: the last one counts
    ignored: dict[str, None] = field(default_factory=dict)  # columns that mean nothing here, in order

    def judge(self, fields: dict[str, object], file: Path, line: int, text: str) -> Item | None:
        """Return the item of a line; None, and the reason counted, where it is none."""
        try:
            item = judge_item(fields)
        except BadItem as error:
            self.refuse(error.reason, file, line, text)
            return None
        self.lines += 1
        return item

    def summary(self) -> str:
        """Return one line for people: what was kept, what was bad and why, what else its owner should look at."""
        files = f"{len(self.files)} file{'s' * (len(self.files) != 1)}"
        parts = [f"{self.kept:,} items of {self.lines:,} lines from {files}"]
        if self.bad:
            parts.append(f"{self.bad_lines:,} bad ({counts(self.bad)})")
        if self.duplicates:
            parts.append(f"{self.duplicates:,} said again later, where the last line counts")
        if self.skipped:
            parts.append(f"not read: {', '.join(f'{name} ({why})' for name, why in sorted(self.skipped.items()))}")
        return "; ".join(parts + self.warnings())

    def warnings(self) -> list[str]:
        """Return what its owner should look at, a line each."""
        if not self.ignored:
            return list(self.doubts)
        names = list(self.ignored)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = f"{', '.join(names[:_SHOWN])}{more}"
        return [*self.doubts, f"columns not read: {shown} (an attribute is a column attr.NAME)"]
