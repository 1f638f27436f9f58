"""The card as the two files of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from export.bundle.bundle import CARD, CARD_VALUES
from model.cards.markdown import markdown

__all__ = ["write_card"]


def write_card(card: Mapping[str, Any], folder: Path) -> Path:
    """Write `card.md` and `card.json` into a folder, which `with_manifest` takes them from, and return it."""
    plain = msgspec.json.encode(card, enc_hook=_plain)
    (folder / CARD_VALUES).write_bytes(msgspec.json.format(plain, indent=2) + b"\n")
    (folder / CARD).write_text(markdown(msgspec.json.decode(plain)), encoding="utf-8")
    return folder


def _plain(value: Any) -> Any:
    """Numbers of numpy, and strings such as torch's version."""
    return value.item() if hasattr(value, "item") else str(value)
