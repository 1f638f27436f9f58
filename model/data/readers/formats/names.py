"""Which columns of a file are session, item, time and kind."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from model.data.readers.options import Columns
from model.errors import DataError

__all__ = ["Found", "find_columns"]

OPTIONS = {
    "session": "--session-column",
    "item": "--item-column",
    "ts": "--time-column",
    "type": "--type-column",
    "extra": "--by",
}
SESSION, ITEM, TS, TYPE = "session_id", "item_id", ("timestamp", "ts"), "type"  # unless other names are given
OTTO = ("session", "aid")  # what OTTO's copies in Parquet and CSV call the first two
BY_NUMBER = ("1", "2", "3")  # of a file without a header
SHOWN = 30  # columns named in a message


class Found(NamedTuple):
    """Columns by the names that the file gives them."""

    session: str
    item: str
    ts: str
    type: str | None  # None: every line is a click
    otto: bool = False  # OTTO's own names, with which go its own numbers of kinds
    extra: str | None = None  # kept beside these


def find_columns(names: Sequence[str], columns: Columns) -> Found:
    """Return the columns of session, item, time and kind; spaces around a name and capitals make no difference.

    DataError, which names the columns there are and the options that choose them, if one is missing or there twice.
    """
    otto = columns.session is None and columns.item is None and all(_match(names, name) for name in OTTO)
    otto = otto and not _match(names, SESSION) and not _match(names, ITEM)
    session, item = OTTO if otto else (columns.session or SESSION, columns.item or ITEM)
    ts = columns.ts or next((name for name in TS if _match(names, name)), TS[0])
    kind = columns.type or (TYPE if _match(names, TYPE) else None)
    wanted = {"session": session, "item": item, "ts": ts, **({"type": kind} if kind else {})}
    if columns.extra is not None:
        wanted["extra"] = columns.extra
    absent = {part: name for part, name in wanted.items() if not _match(names, name)}
    if absent:
        there = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        chosen = ", ".join(OPTIONS[part] for part in absent)
        raise DataError(f"no column {', '.join(absent.values())}; there are {there}; name yours with {chosen}")
    twice = [name for name in wanted.values() if len(_match(names, name)) > 1]
    if twice:
        raise DataError(f"there is more than one column {', '.join(dict.fromkeys(twice))}")
    names_of = {part: _match(names, name)[0] for part, name in wanted.items()}
    return Found(
        names_of["session"], names_of["item"], names_of["ts"], names_of.get("type"), otto, names_of.get("extra")
    )


def _match(names: Sequence[str], wanted: str) -> list[str]:
    """Return the columns that are called so: exactly, else but for capitals, spaces, `_` and `-`."""
    return [name for name in names if name == wanted] or [name for name in names if _bare(name) == _bare(wanted)]


def _bare(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).casefold() or name
