"""Lists of item ids that people write: one a line, in a file of UTF-8 text.

    # a comment                      left out, as are empty lines
    sku-7                            the id sku-7
    "#5 bowl"                        a line in quotes is a JSON string: an id that begins with # or a quote,
    "a\\u2028b"                       or holds what can't be seen

A line ends with a line feed, with or without a carriage return before it, and with nothing else: other separators of
Unicode may be part of an id. Blanks around an id are no part of it. A byte order mark, which some editors write first,
is left out. Ids are by their law (`export/ids.py`), in quotes too: `7.0` is `7`, and what is no id is refused.
"""

from pathlib import Path

import msgspec

from export.errors import ConfigError, UnreadableFile
from export.ids import MAX_ID_BYTES, IdFault, id_fault, normal_id

__all__ = ["MOST_BYTES", "given_id", "read_id_list", "read_lines"]

MOST_BYTES = 64 * 1024 * 1024  # of a file: some millions of ids
_BLANKS = " \t\r"
_SHOWN = 40  # characters of what is no id
_FAULTS: dict[IdFault, str] = {
    "empty": "stands for nothing",
    "too_long": f"has more than {MAX_ID_BYTES} bytes",
    "control_characters": "holds control characters",
}


def given_id(text: str, what: str, kind: str = "item id") -> str:
    """Return the id that a text means, by the law of ids; ConfigError, with `what` for where it stands, for none."""
    fault = id_fault(text)
    if fault is not None:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise ConfigError(f"{what}: {shown!r} is no {kind}: it {_FAULTS[fault]}")
    return normal_id(text)


def read_id_list(path: Path, what: str) -> list[str]:
    """Return the ids in the order of the file; `what` names them in the ConfigError of a file that can't be read."""
    ids = []
    for number, line in enumerate(read_lines(path, what), 1):
        text = line.strip(_BLANKS)
        if text.startswith('"'):
            text = _unquoted(text, number, path)
        elif not text or text.startswith("#"):
            continue
        try:
            ids.append(given_id(text, f"line {number} of {path}"))
        except ConfigError as error:
            raise UnreadableFile(str(error), path) from None
    return ids


def read_lines(path: Path, what: str, most_bytes: int | None = None) -> list[str]:
    """Return the lines of a UTF-8 file of people; ConfigError, without a piece of it, where it can't be read,
    or has more than `most_bytes`, or else `MOST_BYTES`."""
    most = MOST_BYTES if most_bytes is None else most_bytes
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        text = content.decode("utf-8-sig") if len(content) <= most else ""
    except UnicodeDecodeError:  # whose words quote a piece of the file, of a password perhaps
        raise UnreadableFile(f"{what} in {path} cannot be read: it is not UTF-8", path) from None
    except (OSError, ValueError) as error:  # ValueError: the name has a character that none can have
        raise UnreadableFile(
            f"{what} in {path} cannot be read: {getattr(error, 'strerror', '') or error}", path
        ) from error
    if len(content) > most:
        raise UnreadableFile(f"{what} in {path} have more than {most:,} bytes; is it another file?", path)
    return text.split("\n")


def _unquoted(text: str, number: int, path: Path) -> str:
    try:
        return msgspec.json.decode(text.encode(), type=str)
    except msgspec.MsgspecError as error:
        message = f'line {number} of {path}: what begins with a quote must be a JSON string, such as "\\"7\\" bowl"'
        raise UnreadableFile(message, path) from error
