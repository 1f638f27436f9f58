"""Small helpers on pyarrow columns, which come in whatever type a file has."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

__all__ = ["Column", "decode", "is_bytes", "is_list", "is_text", "mask", "pc", "utf8"]

Column = Any  # a pyarrow array; a type checker can't follow a type that is only known from the file
pc: Any = pyarrow.compute  # untyped for the same reason


def is_text(kind: Any) -> bool:
    """Tell whether an arrow type holds text or the bytes of it."""
    types = pa.types
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view)) or is_bytes(kind)


def is_bytes(kind: Any) -> bool:
    """Tell whether an arrow type holds bytes."""
    types = pa.types
    return any(test(kind) for test in (types.is_binary, types.is_large_binary, types.is_fixed_size_binary))


def is_list(kind: Any) -> bool:
    """Tell whether an arrow type holds a list of values."""
    types = pa.types
    return any(test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def mask(values: Column) -> NDArray[np.bool_]:
    """Return an arrow array of booleans as numpy, False where it is null."""
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), bool)


def decode(column: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Return bytes as text, null where they are not UTF-8, and which lines those are."""
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    try:
        return column.cast(pa.string()), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        text = pa.array([utf8(value) for value in column.to_pylist()], pa.string())
        return text, mask(text.is_null()) & ~mask(column.is_null())


def utf8(value: bytes | None) -> str | None:
    """Return the text of some bytes, None if they are not UTF-8."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
