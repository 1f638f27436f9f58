"""The first line of a delimited text file."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from model.data.readers.formats.head import first_line
from model.data.readers.formats.names import Found, find_columns
from model.data.readers.options import ReadOptions
from model.errors import DataError

__all__ = ["DELIMITERS", "Header", "header_of", "split_header"]

DELIMITERS = (",", ";", "\t", "|")
VALUE = re.compile(r"[+-]?[0-9.]+|\d{4}-\d{2}-\d{2}.*")  # a number or a time, which no column is called


class Header(NamedTuple):
    """What the first line says."""

    names: list[str]
    delimiter: str
    quote: str
    found: Found


def header_of(path: Path, options: ReadOptions) -> Header:
    """Return the columns of a file; without a header they are called 1, 2, 3 …

    The delimiter is the given one, else that by which the columns are found, else that which the line has most of.
    DataError if the columns of session, item or time aren't there, with the columns found.
    """
    line = first_line(path, options.encoding)
    quote = "'" if line.lstrip().startswith("'") else '"'
    candidates = (options.delimiter,) if options.delimiter else sorted(DELIMITERS, key=line.count, reverse=True)
    fault: DataError | None = None
    for delimiter in candidates:
        names = split_header(line, delimiter, quote)
        if not options.header:
            names = [str(place) for place in range(1, len(names) + 1)]
        try:
            return Header(names, delimiter, quote, find_columns(names, options.columns_or_numbers))
        except DataError as error:
            fault = fault or error
    raise DataError(f"{fault}{_advice(split_header(line, candidates[0], quote), options)}")


def split_header(line: str, delimiter: str, quote: str) -> list[str]:
    """Return the names of the columns, without quotes and the spaces around them."""
    try:
        (names,) = csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    except (csv.Error, ValueError):  # a quote that never closes
        names = line.split(delimiter)
    return [name.strip() for name in names]


def _advice(names: Sequence[str], options: ReadOptions) -> str:
    if len(names) == 1 and options.delimiter is None:
        return ", or the character between the columns with --delimiter"
    if options.header and any(VALUE.fullmatch(name) for name in names):
        return "; a file whose first line is no header takes --no-header, and its columns are called 1, 2, 3 …"
    return ""
