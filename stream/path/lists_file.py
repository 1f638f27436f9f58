"""The file that says what a shop wants of its lists, followed while the worker runs.

A change is in force with the next batch after two looks (`upkeep.py`) that saw the same: one that is written in place
is empty for a moment, and an empty file is a sound one. A file that can't be used changes nothing: what was in force
stays, and the log and /health say what is wrong with it.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from export.errors import ConfigError, UnreadableFile
from export.policy.config import ListsConfig, read_lists
from stream.ops.problems import Problems

__all__ = ["ListsFile"]

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int] | None


class ListsFile:
    """Looks at the file, and at those that it names."""

    def __init__(
        self,
        path: Path | None,
        k: int,
        config: ListsConfig,
        use: Callable[[ListsConfig], None],
        problems: Problems,
        read: Callable[[Path, int], ListsConfig] = read_lists,
    ) -> None:
        """`config` is what the file said at start, `k` what holds where it names no length; `use` hears of changes.
        Without a file there is nothing to look at. `read`: what is made of it; ConfigError where it can't be used.
        """
        self._read = read
        self._path, self._k, self._use, self._problems = path, k, use, problems
        self._config = config
        self._refused: tuple[Path, ...] = ()  # a file named by the one that can't be used: its change may mend that
        self._stamps: dict[Path, _Stamp] = {}  # of what was read; the file may have changed since the start read it
        self._seen: dict[Path, _Stamp] = {}  # at the last look

    def look(self) -> None:
        """Take up what changed, if anything did, and is the same as at the last look."""
        stamps = self._look()
        settled, self._seen = stamps == self._seen, stamps
        if stamps == self._stamps or not settled or self._path is None:
            return
        self._stamps = stamps  # of before it is read: what changes meanwhile is seen at the next look
        try:
            if self._path.exists() and not self._path.is_file():
                raise ConfigError(f"{self._path} is no file that can be followed")  # reading a pipe may never end
            config = self._read(self._path, self._k)
        except ConfigError as error:
            self._refused = (error.path,) if isinstance(error, UnreadableFile) else ()
            self._problems.raise_(
                "lists_file",
                f"the lists stay as they were, as their file cannot be used: {error}",
                "mend it, or the list that it names; it is read again as soon as one of them changes",
            )
            return
        self._refused = ()
        self._problems.clear("lists_file")
        if config != self._config:
            self._config = config
            self._use(config)
            log.info("lists by %s from now on: %s", self._path, config)

    def _look(self) -> dict[Path, _Stamp]:
        files = () if self._path is None else (self._path, *self._config.files, *self._refused)
        return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
