"""Attribute values as numbers: each text is kept once, and an item holds codes.

A value has two of them: a `key`, its number among the values of all attributes, and a `code`, its number among those of
its own attribute, dense from 0. In an attribute that is a path (`path`, or a name that ends in `_path`) the prefixes of
a value are values as well: what holds `home/garden/pots` holds `home/garden` and `home`.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from export.items.columns import Column

__all__ = ["AttributeValues", "is_path", "prefixes"]

_NONE = -1


class AttributeValues:
    """Texts to codes and back. For one writer; readers may ask at any time."""

    def __init__(self) -> None:
        self.names: list[str] = []  # of the attributes, in the order they came
        self._attributes: dict[str, int] = {}
        self._keys: list[dict[str, int]] = []  # of each attribute: text -> key
        self._by_code: list[list[str]] = []  # of each attribute: its texts
        self._texts: list[str] = []  # of each key
        self._attribute = Column(np.int32)  # of each key
        self._code = Column(np.int32)  # of each key
        self._parent = Column(np.int32)  # of each key: that of the next shorter prefix; -1: none

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def attribute_of(self) -> NDArray[np.int32]:
        """The number of each key's attribute."""
        return self._attribute.values

    @property
    def code_of(self) -> NDArray[np.int32]:
        """The code of each key."""
        return self._code.values

    @property
    def parent_of(self) -> NDArray[np.int32]:
        """The key of each key's next shorter prefix, -1 where there is none."""
        return self._parent.values

    def attribute(self, name: str) -> int | None:
        """Return the number of an attribute that some item had, else None."""
        return self._attributes.get(name)

    def code(self, name: str, text: str) -> int | None:
        """Return the code of a value of an attribute; None where no item had it."""
        number = self._attributes.get(name)
        key = None if number is None else self._keys[number].get(text)
        return None if key is None else int(self._code.values[key])

    def text(self, name: str, code: int) -> str:
        """Return the text of a code that `code` gave."""
        return self._by_code[self._attributes[name]][code]

    def texts(self, name: str) -> list[str]:
        """Return the texts of an attribute in the order of their codes."""
        number = self._attributes.get(name)
        return [] if number is None else list(self._by_code[number])

    def encode(self, attributes: Mapping[str, Iterable[str]]) -> list[int]:
        """Return the keys of an item's values, new ones added; prefixes are left to whoever reads them."""
        keys = []
        for name, texts in attributes.items():
            number = self._attributes.get(name)
            known = self._keys[number] if number is not None else {}
            for text in texts:
                key = known.get(text)
                keys.append(self._add(name, text) if key is None else key)
                if number is None:
                    number = self._attributes[name]
                    known = self._keys[number]
        return keys

    def new_among(self, attributes: Mapping[str, Iterable[str]]) -> int:
        """Return how many values of an item no item had so far, prefixes apart."""
        nobody: dict[str, int] = {}
        new = 0
        for name, texts in attributes.items():
            number = self._attributes.get(name)
            known = nobody if number is None else self._keys[number]
            new += sum(text not in known for text in texts)
        return new

    def decode(self, keys: Iterable[int]) -> dict[str, tuple[str, ...]]:
        """Return the attributes that `encode` took."""
        found: dict[str, list[str]] = {}
        attribute_of = self._attribute.values
        for key in keys:
            found.setdefault(self.names[attribute_of[key]], []).append(self._texts[key])
        return {name: tuple(texts) for name, texts in found.items()}

    def with_prefixes(
        self, keys: NDArray[np.int32], rows: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return (codes, rows) of keys and of their prefixes, each once a row, sorted by row and code.

        The keys are of one attribute.
        """
        pairs = [(rows.astype(np.int64) << 32) | self.code_of[keys]]
        while len(keys):
            keys = self.parent_of[keys]
            rows, keys = rows[keys != _NONE], keys[keys != _NONE]
            pairs.append((rows.astype(np.int64) << 32) | self.code_of[keys])
        joined = np.sort(np.concatenate(pairs))  # sorting whole numbers is far faster than sorting places
        joined = joined[np.concatenate([[True], joined[1:] != joined[:-1]])] if len(joined) else joined
        return (joined & 0xFFFFFFFF).astype(np.int32), joined >> 32

    def kept(self, used: NDArray[np.bool_]) -> tuple["AttributeValues", NDArray[np.int32]]:
        """Return a copy without the keys that are not used, and the new key of each old one (-1: none)."""
        used = used.copy()
        for key in np.flatnonzero(used).tolist():
            while (key := int(self.parent_of[key])) != _NONE and not used[key]:
                used[key] = True
        copy, moved = AttributeValues(), np.full(len(self), _NONE, dtype=np.int32)
        for key in np.flatnonzero(used).tolist():
            moved[key] = copy.encode({self.names[self.attribute_of[key]]: (self._texts[key],)})[0]
        return copy, moved

    def _add(self, name: str, text: str) -> int:
        number = self._attributes.get(name)
        if number is None:
            number = len(self.names)
            self.names.append(name)
            self._keys.append({})
            self._by_code.append([])
            self._attributes[name] = number
        parent = _NONE
        for part in (*prefixes(text), text) if is_path(name) else (text,):
            known = self._keys[number]
            if part in known:
                parent = known[part]
                continue
            key = len(self._texts)
            self._attribute.append(number)
            self._code.append(len(known))
            self._parent.append(parent)
            self._texts.append(part)
            self._by_code[number].append(part)
            known[part] = parent = key
        return parent


def is_path(name: str) -> bool:
    """Tell whether the values of an attribute are paths."""
    return name == "path" or name.endswith("_path")


def prefixes(text: str) -> list[str]:
    """Return the prefixes of a path, shortest first, without itself: of `a/b/c`, `a` and `a/b`."""
    places = [place for place, letter in enumerate(text) if letter == "/" and place]
    return [text[:place] for place in places if text[place - 1] != "/"]
