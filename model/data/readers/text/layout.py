"""How a delimited text file is laid out."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a delimited text file, and which of them are read."""

    delimiter: str  # one character of ASCII
    quote: str | None  # one character of ASCII; None: quotes mean nothing
    header: bool  # the first line that is not empty names the columns
    width: int  # number of columns
    wanted: Mapping[str, int]  # what is read: name -> place of its column, from 0
    ts: str  # which of them is the time
