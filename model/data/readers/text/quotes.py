"""Records out of lines: line breaks within quotes are joined, and a quote that never closes swallows nothing.

Neither pyarrow nor DuckDB nor Polars tells a long value from a quote that was never closed: all three read the lines up
to the next quote, or the end of the file, as one value. Here a quote that is open at the end of its line goes on over
the next ones only until one of them is a row by itself: as many columns as the file has, and a time where the time
stands. Then the quote is a character like any other. What comes out has one record a line, and every quote in it closes
on that line.

A block without quotes is passed on as it is, one whose quotes all open and close as they should after one look at all
of them; only other blocks are taken line by line.
"""

import re
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.readers.report import ReadReport
from model.data.readers.text.layout import Layout

__all__ = ["Mended", "Mender"]

MAX_JOINED_BYTES = 1 << 20  # a value between quotes is no longer
NEWLINE = 10
TIME_LIKE = re.compile(rb'\s*["\']?\s*(?:[0-9]{9,}|[0-9]+\.[0-9]*|[0-9]{4}[-/][0-9]{2}[-/][0-9]{2})')

Ints = NDArray[np.int64]


class Mended(NamedTuple):
    """A block with one record a line."""

    clean: bytes
    first: Ints | None  # place in the block, from 0, of the first line of each line of `clean`; None: the same place
    used: int  # bytes of the block that are in `clean`; the rest is to come again, with what follows it


class _Block:
    """Lines of a block (N), its quotes (Q), and how they fit together."""

    def __init__(self, data: bytes, delimiter: int, quote: int) -> None:
        self.data = data
        padded = np.full(len(data) + 2, NEWLINE, np.uint8)
        padded[1:-1] = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(padded[1:-1] == NEWLINE)
        self.ends = ends if data.endswith(b"\n") else np.append(ends, len(data))  # (N,)
        self.starts = np.concatenate(([0], self.ends[:-1] + 1))  # (N,)
        quotes = np.flatnonzero(padded[1:-1] == quote)  # (Q,)
        line = np.searchsorted(self.ends, quotes)
        count = np.bincount(line, minlength=len(self.ends))  # (N,)
        opening = (np.arange(len(quotes)) - (np.cumsum(count) - count)[line]) % 2 == 0  # if the line begins outside
        before, after = padded[quotes], padded[quotes + 2]
        can_open = (before == delimiter) | (before == NEWLINE) | (before == quote)
        can_close = (after == delimiter) | (after == NEWLINE) | (after == quote)
        self.odd = count % 2 == 1  # (N,)
        self.unfit = self._any(line, ~np.where(opening, can_open, can_close))  # (N,) if the line begins outside quotes
        self.unfit_within = self._any(line, ~np.where(opening, can_close, can_open))  # (N,) if it begins within
        delimiters = np.flatnonzero(padded[1:-1] == delimiter)
        edges = np.searchsorted(delimiters, np.concatenate((self.starts, self.ends)))
        self.delimiters = edges[len(self.ends) :] - edges[: len(self.ends)]  # (N,)
        first_quote = self.ends.copy()  # (N,) where the first quote of the line is, its end if it has none
        np.minimum.at(first_quote, line, quotes)
        self.before_quote = np.searchsorted(delimiters, first_quote) - edges[: len(self.ends)]  # (N,) delimiters

    def _any(self, line: Ints, wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.bincount(line[wrong], minlength=len(self.ends)) > 0

    def line(self, place: int) -> bytes:
        """Return a line without its end."""
        return self.data[self.starts[place] : self.ends[place]]


def _all_fit(data: bytes, delimiter: int, quote: int) -> bool:
    """Tell whether all quotes of a block open and close as they should, each within its line."""
    content = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(content == quote)
    if len(quotes) % 2 or np.any(np.searchsorted(quotes, np.flatnonzero(content == NEWLINE)) % 2):
        return False
    beside = np.zeros(256, bool)
    beside[[delimiter, NEWLINE, quote]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    opening = opening[1:] if opening[0] == 0 else opening  # nothing stands before the first character of the block,
    closing = closing[:-1] if closing[-1] == len(content) - 1 else closing  # nor behind its last
    return bool(beside[content[opening - 1]].all() and beside[content[closing + 1]].all())


class Mender:
    """Mends the blocks of one file."""

    def __init__(self, path: Path, layout: Layout, report: ReadReport) -> None:
        self.path, self.layout, self.report = path, layout, report
        self.delimiter, self.quote = layout.delimiter.encode(), (layout.quote or "").encode()
        self.places = set(layout.wanted.values())
        self.ts = layout.wanted[layout.ts]
        d, q = re.escape(self.delimiter), re.escape(self.quote or b'"')
        end = rb" *(?=" + d + rb"|\Z)"
        self._strict = re.compile(rb" *" + q + rb"((?:[^" + q + rb"]|" + q + q + rb")*+)" + q + end)
        self._escaped = re.compile(rb" *" + q + rb"((?:[^" + q + rb"\\]|\\.|" + q + q + rb")*+)" + q + end, re.DOTALL)
        self._lenient = re.compile(rb" *" + q + rb"(.*?)" + q + end, re.DOTALL)
        self._closes = re.compile(q + end)
        self._opens = re.compile(rb" *" + q)

    def mend(self, data: bytes, first_line: int, final: bool) -> Mended:
        """Return whole lines as records; `first_line` is the number of the first, `final` says that no more follow."""
        if not self.quote or self.quote not in data:
            return Mended(data, None, len(data))
        if _all_fit(data, self.delimiter[0], self.quote[0]):
            return Mended(data, None, len(data))
        block = _Block(data, self.delimiter[0], self.quote[0])
        return self._joined(block, final) or self._one_by_one(block, block.odd | block.unfit, first_line, final)

    def _joined(self, block: _Block, final: bool) -> Mended | None:
        """Return the block without the line breaks in its quotes; None where a quote may not be what it seems."""
        within_after = np.cumsum(block.odd) % 2 == 1  # (N,) whether a quote is open behind the line
        within = np.concatenate(([False], within_after[:-1]))  # (N,) before it
        if np.where(within, block.unfit_within, block.unfit).any():
            return None
        inside = np.where(block.odd, block.before_quote, block.delimiters)
        if (within & (inside >= self.layout.width - 1)).any():
            return None
        used = len(within)
        if within_after[-1]:
            used = int(np.flatnonzero(block.odd)[-1])
            if final or len(block.data) - block.starts[used] > MAX_JOINED_BYTES:
                return None
        opened, closed = np.flatnonzero(within_after & ~within), np.flatnonzero(within & ~within_after)
        if (block.ends[closed] - block.starts[opened[: len(closed)]]).max(initial=0) > MAX_JOINED_BYTES:
            return None
        size = int(block.starts[used]) if used < len(within) else len(block.data)
        clean = np.frombuffer(block.data[:size], np.uint8).copy()
        clean[block.ends[:used][within_after[:used]]] = ord(" ")
        self.report.joined += int(np.count_nonzero(within_after[:used]))
        return Mended(clean.tobytes(), np.flatnonzero(~within[:used]), size)

    def _one_by_one(self, block: _Block, irregular: NDArray[np.bool_], first_line: int, final: bool) -> Mended:
        pieces: list[bytes] = []
        places: list[Ints] = []
        odd_ones = np.flatnonzero(irregular).tolist()
        at, lines = 0, len(block.ends)
        while at < lines:
            following = bisect_left(odd_ones, at)
            upto = odd_ones[following] if following < len(odd_ones) else lines
            if upto > at:
                pieces.append(block.data[block.starts[at] : block.starts[upto] if upto < lines else None])
                places.append(np.arange(at, upto))
                at = upto
                continue
            taken, fields, open_at = self._record(block, irregular, at, final)
            if not taken:
                break
            if fields is not None and open_at in self.places:
                text = block.line(at).decode(errors="replace")
                self.report.refuse("open_quote", self.path, first_line + at, text)
            elif fields is not None:
                if open_at is not None:
                    self.report.open_quotes += 1
                    text = block.line(at).decode(errors="replace")
                    self.report.sample(self.path, first_line + at, "open_quote", text)
                pieces.append(self.delimiter.join(map(self._quoted, fields)) + b"\n")
                places.append(np.array([at]))
            self.report.joined += taken - 1
            at += taken
        used = int(block.starts[at]) if at < lines else len(block.data)
        return Mended(b"".join(pieces), np.concatenate([np.zeros(0, np.int64), *places]), used)

    def _record(
        self, block: _Block, irregular: NDArray[np.bool_], at: int, final: bool
    ) -> tuple[int, list[bytes] | None, int | None]:
        """Return how many lines a record has (0: more must be seen), its fields, and where a quote never closes."""
        text, upto = block.line(at), at + 1
        while True:
            fields, open_at = self._fields(text)
            if open_at is None:
                break
            found, ended = self._closing_line(block, irregular, at, upto)
            if found is None and not ended and not final:
                return 0, None, None
            if found is None:
                return 1, self._as_it_stands(block.line(at)), open_at
            upto = found + 1
            text = block.data[block.starts[at] : block.ends[found]]
        if len(fields) != self.layout.width:
            literal = self._as_it_stands(block.line(at))
            if len(literal) == self.layout.width:
                return 1, literal, None
        return upto - at, fields, None

    def _closing_line(self, block: _Block, irregular: NDArray[np.bool_], at: int, upto: int) -> tuple[int | None, bool]:
        """Return the line in which a quote open behind line `upto - 1` closes; else whether a row ends the search."""
        for line in range(upto, len(block.ends)):
            if block.ends[line] - block.starts[at] > MAX_JOINED_BYTES or self._is_row(block, irregular, line):
                return None, True
            if self._closes.search(block.line(line).replace(self.quote * 2, b"")):
                return line, False
        return None, False

    def _is_row(self, block: _Block, irregular: NDArray[np.bool_], line: int) -> bool:
        """Tell whether a line is a row by itself: one whose quotes fit, or whose first one comes behind all columns."""
        delimiters = block.before_quote[line] if irregular[line] else block.delimiters[line]
        if delimiters < self.layout.width - 1:
            return False
        fields = self._as_it_stands(block.line(line)) if irregular[line] else self._fields(block.line(line))[0]
        if len(fields) != self.layout.width or not TIME_LIKE.match(fields[self.ts]):
            return False
        return all(fields[place].strip() for place in self.places if place != self.ts)

    def _fields(self, text: bytes) -> tuple[list[bytes], int | None]:
        """Return the fields of a record, and the place of the one whose quote is still open at its end."""
        fields: list[bytes] = []
        at = 0
        while True:
            if self._opens.match(text, at):
                found = self._strict.match(text, at) or self._escaped.match(text, at) or self._lenient.match(text, at)
                if found is None:
                    return fields, len(fields)
                fields.append(self._unescaped(found[1], found.re is self._escaped))
                at = found.end()
            else:
                end = text.find(self.delimiter, at)
                end = len(text) if end < 0 else end
                fields.append(text[at:end])
                at = end
            if at >= len(text):
                return fields, None
            at += 1

    def _as_it_stands(self, text: bytes) -> list[bytes]:
        """Return the fields of a line whose quotes mean nothing, but for those around a whole field."""
        fields = text.split(self.delimiter)
        return [
            self._unescaped(found[1], False) if (found := self._strict.fullmatch(field)) else field for field in fields
        ]

    def _unescaped(self, value: bytes, backslashes: bool) -> bytes:
        value = value.replace(self.quote * 2, self.quote)
        return re.sub(rb"\\(.)", rb"\1", value, flags=re.DOTALL) if backslashes else value

    def _quoted(self, field: bytes) -> bytes:
        if self.delimiter not in field and self.quote not in field and b"\n" not in field:
            return field
        return self.quote + field.replace(b"\n", b" ").replace(self.quote, self.quote * 2) + self.quote
