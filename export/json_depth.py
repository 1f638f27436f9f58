"""How deep a JSON text is nested, told before anything is parsed."""

import re

__all__ = ["MAX_DEPTH", "is_too_deep"]

MAX_DEPTH = 500  # objects and arrays within each other; what Python's stack takes differs by version and caller

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # up to the end where it is not closed
_BRACKET = re.compile(rb"[\[\]{}]")


def is_too_deep(value: bytes) -> bool:
    """Whether objects and arrays stand more than MAX_DEPTH deep within each other; strings don't count."""
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False
