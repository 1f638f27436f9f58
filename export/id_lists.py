"""Lists of item ids that people write: one a line, in a file of UTF-8 text.

    # a comment                      left out, as are empty lines
    sku-7                            the id sku-7
    "#5 bowl"                        a line in quotes is a JSON string: an id that begins with # or a quote,
    "a\\u2028b"                       or holds what can't be seen

A line ends with a line feed, with or without a carriage return before it, and with nothing else: other separators of
Unicode may be part of an id. Blanks around an id are no part of it, unless it is in quotes. A byte order mark, which
some editors write first, is left out.
"""

from pathlib import Path

import msgspec

from export.errors import UnreadableFile

__all__ = ["read_id_list", "read_lines"]

_BLANKS = " \t\r"


def read_id_list(path: Path, what: str) -> list[str]:
    """Return the ids in the order of the file; `what` names them in the ConfigError of a file that can't be read."""
    ids = []
    for number, line in enumerate(read_lines(path, what), 1):
        text = line.strip(_BLANKS)
        if text.startswith('"'):
            ids.append(_unquoted(text, number, path))
        elif text and not text.startswith("#"):
            ids.append(text)
    return ids


def read_lines(path: Path, what: str) -> list[str]:
    """Return the lines of a UTF-8 file of people; ConfigError, without a piece of it, where it can't be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:  # whose words quote a piece of the file, of a password perhaps
        raise UnreadableFile(f"{what} in {path} cannot be read: it is not UTF-8", path) from None
    except (OSError, ValueError) as error:  # ValueError: the name has a character that none can have
        raise UnreadableFile(
            f"{what} in {path} cannot be read: {getattr(error, 'strerror', '') or error}", path
        ) from error
    return text.split("\n")


def _unquoted(text: str, number: int, path: Path) -> str:
    place = f"line {number} of {path}"
    try:
        found = msgspec.json.decode(text.encode(), type=str)
    except msgspec.MsgspecError as error:
        message = f'{place}: what begins with a quote must be a JSON string, such as "\\"7\\" bowl"'
        raise UnreadableFile(message, path) from error
    if not found:
        raise UnreadableFile(f"{place}: an id is not empty", path)
    return found
