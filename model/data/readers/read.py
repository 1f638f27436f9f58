"""Read a file, or a folder of files, of any known format into one `RawLog`."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.readers.columns.arrow import Column, pc
from model.data.readers.columns.clean import Cleaned, Rows, clean
from model.data.readers.columns.kinds import KINDS, POSITIVES
from model.data.readers.columns.times import doubts
from model.data.readers.files import find_files
from model.data.readers.formats.csv import read_csv
from model.data.readers.formats.diginetica import read_diginetica
from model.data.readers.formats.head import UNREADABLE
from model.data.readers.formats.jsonl import read_jsonl
from model.data.readers.formats.otto import read_otto
from model.data.readers.formats.parquet import read_parquet
from model.data.readers.formats.retailrocket import VISIT_GAP_MS, read_retailrocket
from model.data.readers.formats.yoochoose import read_yoochoose
from model.data.readers.gaps import cut_at_gaps
from model.data.readers.options import Format, ReadOptions
from model.data.readers.raw import Extra, RawLog
from model.data.readers.report import ReadReport, counts
from model.errors import BadLines, DataError

__all__ = ["cut", "encode", "join", "read_file", "read_log"]

READERS: dict[Format, Callable[[Path, ReadOptions, ReadReport], Iterator[Rows]]] = {
    "otto": read_otto,
    "yoochoose": read_yoochoose,
    "diginetica": read_diginetica,
    "retailrocket": read_retailrocket,
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_jsonl,
}
BY_NAME: tuple[Format, ...] = ("csv", "parquet", "jsonl")  # whose columns have names of the shop's own
BY_NAMES = "a log of csv, parquet or jsonl with --by"


def read_log(path: str | os.PathLike[str], options: ReadOptions | None = None) -> RawLog:
    """Return the usable lines of a click log, kinds that are not kept left out.

    Raises DataError if there is no such file, its format is not known or no line is left; BadLines if the share of bad
    lines is above `options.max_bad_share`. The report says what was bad, left out or skipped.
    """
    options = options or ReadOptions()
    report = ReadReport()
    chunks: list[Cleaned] = []
    for file, format in find_files(Path(path), options, report):
        report.files[str(file)] = format
        chunks.extend(read_file(file, format, options, report))
    if report.bad_share > options.max_bad_share:
        raise BadLines(
            f"{path}: {report.bad_lines:,} of {report.lines:,} lines are bad ({counts(report.bad)}); "
            f"at most {options.max_bad_share:.2%} may be" + "".join(f"\n  {line}" for line in _shown(report))
        )
    raw = replace(join(chunks, report, options.columns.extra), typed=not options.kinds <= POSITIVES)
    if not raw.clicks:
        shown = "".join(f"\n  {line}" for line in _shown(report))
        raise DataError(f"{path} holds no event that can be used: {report.summary()}{shown}")
    report.doubts += doubts(raw.ts, options.ts_unit) + _kinds(report, options)
    return cut(raw, options)


def _shown(report: ReadReport) -> list[str]:
    return [*report.shown(), *report.remedies()]


def _kinds(report: ReadReport, options: ReadOptions) -> list[str]:
    """Return a line about kinds that nobody knows; those of the contract are left out on purpose."""
    unknown = sorted(set(report.left_out) - set(KINDS))
    if not unknown:
        return []
    return [f"{', '.join(unknown[:3])}: kinds that are not known (--type-map {unknown[0]}=click takes one for a click)"]


def read_file(file: Path, format: Format, options: ReadOptions, report: ReadReport) -> list[Cleaned]:
    """Return the usable lines of one file; DataError names the file whatever went wrong with it."""
    if options.columns.extra is not None and format not in BY_NAME:
        raise DataError(f"{file}: {format} has no column {options.columns.extra!r} that is kept: give {BY_NAMES}")
    try:
        return [
            clean(
                rows,
                file=file,
                report=report,
                kinds=options.kinds,
                ts_unit=options.ts_unit,
                aliases=options.aliases,
            )
            for rows in READERS[format](file, options, report)
        ]
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(file)) else f"{file}: {text}") from error
    except (*UNREADABLE, pa.ArrowException) as error:
        raise DataError(f"{file} can't be read as {format}: {error}") from error


def join(chunks: list[Cleaned], report: ReadReport, extra: str | None = None) -> RawLog:
    """Return all chunks as one log, and count what is kept; `extra` is the name of a further column they have."""
    session_codes, session_ids = encode([chunk.sessions for chunk in chunks])
    item_codes, item_ids = encode([chunk.items for chunk in chunks])
    order = pc.sort_indices(item_ids).to_numpy()  # place -> code by first appearance
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    report.kept = len(item_codes)
    return RawLog(
        sessions=session_codes,
        items=place[item_codes],
        ts=np.concatenate([np.zeros(0, np.int64), *(chunk.ts for chunk in chunks)]),
        kinds=np.concatenate([np.zeros(0, np.uint8), *(chunk.kinds for chunk in chunks)]),
        session_ids=session_ids,
        item_ids=item_ids.take(pa.array(order)),
        report=report,
        extra=None if extra is None else _extra(extra, chunks),
    )


def _extra(name: str, chunks: list[Cleaned]) -> Extra:
    columns = [chunk.extra.cast(pa.string()) for chunk in chunks if chunk.extra is not None]
    whole = pa.chunked_array(columns, type=pa.string())
    encoded: Any = pa.array([], pa.string()) if not len(whole) else whole.dictionary_encode().combine_chunks()
    if not len(whole):
        return Extra(name, np.zeros(0, np.int32), encoded)
    codes = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int32)
    if (nothing := pc.index(encoded.dictionary, "").as_py()) >= 0:
        codes[codes == nothing] = -1
    return Extra(name, codes, encoded.dictionary)


def encode(columns: list[Column]) -> tuple[NDArray[np.int32], Column]:
    """Return codes (T,) by first appearance and the distinct ids: int64 if every chunk has integers, else text."""
    used = [column for column in columns if len(column)]
    kind: Any = pa.int64() if all(pa.types.is_integer(column.type) for column in used) else pa.string()
    if not used:
        return np.zeros(0, np.int32), pa.array([], kind)
    whole = pa.chunked_array([column.cast(kind) for column in used], type=kind)
    encoded: Column = whole.dictionary_encode().combine_chunks()
    return encoded.indices.to_numpy(), encoded.dictionary


def cut(raw: RawLog, options: ReadOptions) -> RawLog:
    """Return the log with sessions cut at gaps, where the options or the format ask for it."""
    gap = options.session_gap_ms
    if gap is None:
        gap = VISIT_GAP_MS if "retailrocket" in raw.report.files.values() else 0
    return cut_at_gaps(raw, gap) if gap else raw
