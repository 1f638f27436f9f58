"""Which files of a folder are the log: each once, whatever it is called."""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

from model.data.readers.formats.head import UNREADABLE
from model.data.readers.formats.sniff import sniff
from model.data.readers.options import Format, ReadOptions
from model.data.readers.report import ReadReport
from model.data.readers.text.source import PACKED_ENDINGS, open_bytes
from model.errors import DataError

__all__ = ["content_digest", "drop_copies", "find_files", "is_candidate", "unpacked_name"]

ENDINGS = (".parquet", ".pq", ".csv", ".tsv", ".psv", ".dat", ".txt", ".log", ".json", ".jsonl", ".ndjson")


def find_files(path: Path, options: ReadOptions, report: ReadReport) -> list[tuple[Path, Format]]:
    """Return the files to read with their formats; those of a folder that are no click logs are reported as skipped.

    A file that has the content of another one is a copy, packed or not, and is skipped as well. DataError where a file
    and what should be its packed copy differ.
    """
    if path.is_file():
        return [(path, options.format or sniff(path, options))]
    if not path.is_dir():
        raise DataError(f"{path} does not exist")
    found: list[tuple[Path, Format]] = []
    for file in sorted(file for file in path.rglob("*") if file.is_file() and is_candidate(file, path)):
        try:
            found.append((file, options.format or sniff(file, options)))
        except DataError as error:
            report.skipped[str(file)] = str(error).removeprefix(str(file)).lstrip(": ")
    if not found:
        why = "".join(f"; {Path(name).name}: {fault}" for name, fault in list(report.skipped.items())[:3])
        raise DataError(f"{path} holds no click log: no file of a known format among {len(report.skipped)}{why}")
    return drop_copies(found, report)


def is_candidate(file: Path, root: Path) -> bool:
    """Tell whether a file's name may be that of data: a known ending, none, or a part of Spark's; nothing hidden."""
    name = unpacked_name(file).lower()
    known = name.endswith(ENDINGS) or "." not in name or name.startswith("part-")
    return known and not any(part[0] in "._" for part in file.relative_to(root).parts)


def unpacked_name(file: Path) -> str:
    """Return a file's name without the ending of a packer."""
    name = file.name
    while name.lower().endswith(PACKED_ENDINGS):
        name = name[: name.rindex(".")]
    return name


def drop_copies(found: list[tuple[Path, Format]], report: ReadReport) -> list[tuple[Path, Format]]:
    """Return the files without those that have the content of an earlier one, which are reported as skipped."""
    by_name, by_size = defaultdict[Path, list[Path]](list), defaultdict[int, list[Path]](list)
    for file, _ in found:
        by_name[file.with_name(unpacked_name(file))].append(file)
        by_size[file.stat().st_size].append(file)
    suspects = {file for files in (*by_name.values(), *by_size.values()) if len(files) > 1 for file in files}
    digests = {file: content_digest(file) for file in sorted(suspects)}
    for files in by_name.values():
        if len({digests.get(file) for file in files}) > 1:
            names = " and ".join(str(file) for file in files)
            raise DataError(f"{names} should hold the same, and do not: move away the one that does not count")
    first: dict[str, Path] = {}
    kept = []
    for file, format in found:
        digest = digests.get(file, str(file))
        if digest in first:
            report.skipped[str(file)] = f"the same content as {first[digest].name}"
        else:
            first[digest] = file
            kept.append((file, format))
    return kept


def content_digest(file: Path) -> str:
    """Return the SHA-256 of what a file holds, unpacked; DataError if it can't be read."""
    try:
        with open_bytes(file) as source:
            return hashlib.file_digest(cast(Any, source), "sha256").hexdigest()
    except UNREADABLE as error:
        raise DataError(f"{file} can't be read: {error}") from error
