"""The law of item, session and user ids: one text for what is learned from logs and what is looked up in the stream.

1. An id is 1 to 256 bytes of UTF-8 as it is written, or an integer of 64 bits, which means its decimal text.
2. It holds no control characters (U+0000-U+001F, U+007F-U+009F), nor U+FFFD, which stands for bytes that were no text.
3. Spaces (U+0020) around it are no part of it.
4. A whole number that was written as a fraction is that number: `214676010.0`, as a table with gaps writes a column of
   numbers, is `214676010`. Nothing else is taken for a number: `007`, `1e5` and `1.50` are text.
5. The words by which programs say "nothing" are no ids, in capitals or not: NULL, nan, \\N, None, NA and their like.

`normal_id` is the law for one text. The patterns are for those who judge whole columns, or publish the law as a schema;
they are written so that RE2, ECMAScript and `re` read them alike.
"""

import re
from typing import Literal

__all__ = [
    "BROKEN",
    "FRACTION",
    "ID_SCHEMA_PATTERN",
    "MAX_ID_BYTES",
    "NOTHING_WORDS",
    "IdFault",
    "id_fault",
    "is_nothing",
    "is_plain",
    "normal_id",
]

IdFault = Literal["empty", "too_long", "control_characters"]

MAX_ID_BYTES = 256  # as written, spaces included
NOTHING_WORDS = frozenset(
    {"", "null", "nan", "-nan", "none", "nil", "na", "n/a", "#n/a", "<na>", "nat", "undefined", "\\n", "(null)"}
)  # in small letters: of SQL, C, Python, R, spreadsheets, pandas, JavaScript, and dumps of MySQL, Postgres and Hive
BROKEN = "[\\x00-\\x1f\\x7f-\\x9f\ufffd]"  # what no id holds
FRACTION = r"^(-?(?:0|[1-9][0-9]{0,17}))\.0+$"  # a whole number written as a fraction; the group is the number

_BROKEN = re.compile(BROKEN)
_LONGEST_WORD = max(map(len, NOTHING_WORDS))
_FRACTION = re.compile(FRACTION)


def normal_id(text: str) -> str:
    """Return the id that a text means; "" where it means nothing. Says nothing about rules 1 and 2: see `id_fault`."""
    text = text.strip(" ")
    if text.lower() in NOTHING_WORDS:
        return ""
    whole = _FRACTION.match(text)
    return ("0" if whole[1] == "-0" else whole[1]) if whole and text[-1] != "\n" else text


def id_fault(text: str) -> IdFault | None:
    """Return which rule a text breaks, as it is written; None for an id."""
    if is_nothing(text):
        return "empty"
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
        return "too_long"
    return "control_characters" if _BROKEN.search(text) else None


def is_nothing(text: str) -> bool:
    """Tell whether a text is one of the words for nothing, or spaces only."""
    return text.strip(" ").lower() in NOTHING_WORDS


def is_plain(text: str) -> bool:
    """Tell, at little cost, that a text is an id and its own normal form; False says only: look closer."""
    if not (0 < len(text) <= MAX_ID_BYTES // 4 and text.isascii()):
        return False
    if text.isdigit():
        return True
    return (
        text.isprintable()
        and text[0] != " "
        and text[-1] != " "
        and (len(text) > _LONGEST_WORD or text.lower() not in NOTHING_WORDS)
        and not (text[-1] == "0" and ".0" in text)
    )


def _letters(word: str) -> str:
    """Return a pattern of a word in capitals or not; ECMAScript knows no flag within it and few escapes."""
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() else f"\\{c}" if c in "\\()" else c for c in word)


# Text that is an id: no word for nothing among spaces, no character that is broken
ID_SCHEMA_PATTERN = (
    f"^(?! *(?:{'|'.join(_letters(word) for word in sorted(NOTHING_WORDS) if word)})? *$)"
    r"[^\u0000-\u001f\u007f-\u009f\ufffd]+$"
)
