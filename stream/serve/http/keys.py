"""API keys: a file of them, each with a name and rights, read anew when it changes.

    # name  rights      key
    shop    read        sha256:2f6c...      the SHA-256 of the key in hexadecimal, or the key itself (16 characters
    gateway read,write  uPq0...             at least); empty lines and those that start with # are left out
    privacy erase,write 9cKx...             erase: messages that erase a session, which is no shopper's business

Keys are compared as hashes and in constant time, with all there are: how long it takes tells nothing.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import Path

from export.errors import ConfigError
from export.id_lists import read_lines

__all__ = ["ApiKeys", "Key", "read_keys"]

_SHORTEST = 16
_RIGHTS = frozenset({"read", "write", "erase"})
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """One key; `digest` is the SHA-256 of it."""

    name: str
    rights: frozenset[str]
    digest: bytes


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file. ConfigError names the line, never a key."""
    keys: list[Key] = []
    for number, line in enumerate(read_lines(path, "the API keys"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        keys.append(_key(words, f"line {number} of {path}"))
    if not keys:
        raise ConfigError(f"there is no API key in {path}: lines of NAME RIGHTS KEY")
    if len({key.digest for key in keys}) < len(keys):
        raise ConfigError(f"an API key stands in {path} twice: give each of its users one of their own")
    return tuple(keys)


class ApiKeys:
    """The keys of a file, as they are now."""

    def __init__(self, path: Path) -> None:
        """ConfigError where the file can't be used."""
        self._path = path
        self._keys, self._as_of = read_keys(path), _changed_at(path)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, given: str) -> Key | None:
        """The key that this is, whatever its rights; None for any other text."""
        digest = hashlib.sha256(given.encode(errors="surrogateescape")).digest()
        found: Key | None = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def look(self) -> bool:
        """Read the file again if it changed, and say whether it had. ConfigError where it can't be used: the keys
        before stay in force."""
        as_of = _changed_at(self._path)
        if as_of == self._as_of:
            return False
        self._keys = read_keys(self._path)
        self._as_of = as_of
        return True


def _key(words: list[str], place: str) -> Key:
    if len(words) != 3:
        raise ConfigError(f"{place} has not the form NAME RIGHTS KEY, as in: shop read,write s3cret-of-16-or-more")
    name, said, secret = words
    rights = frozenset(said.split(","))
    if not rights <= _RIGHTS:
        raise ConfigError(f"{place}: rights are read, write and erase, with commas between them")
    hashed = _HASH.fullmatch(secret)
    if hashed is None and (len(secret) < _SHORTEST or secret.startswith("sha256:")):
        raise ConfigError(
            f"{place}: a key has {_SHORTEST} characters at least, or is sha256: and 64 hexadecimal digits"
        )
    return Key(name, rights, bytes.fromhex(hashed[1]) if hashed else hashlib.sha256(secret.encode()).digest())


def _changed_at(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"the API keys in {path} can't be read: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size, found.st_ino
