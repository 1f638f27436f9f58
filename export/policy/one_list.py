"""One list by a policy: a placement of its file, or what holds without one."""

from pathlib import Path

import msgspec

from export.errors import ConfigError
from export.policy.config import ListsConfig, read_lists

__all__ = ["OneList"]


class OneList(msgspec.Struct, frozen=True, kw_only=True):
    """By what lists are made: one placement of a policy's file, or none."""

    file: Path | None = None
    placement: str | None = None  # None: the only one
    k: int = 20  # items in a list, where the file does not say how many

    def read(self) -> ListsConfig:
        """Return the one list that the file says now. ConfigError where it can't be used."""
        if self.file is None:
            if self.placement is not None:
                raise ConfigError("a placement is one of a policy's file: name it by --policy")
            return ListsConfig.single(self.k)
        return read_lists(self.file, self.k).only(self.placement, str(self.file))
