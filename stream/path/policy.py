"""What the operator wants of the lists: a file (`export/policy/config.py`), or a few options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.errors import ConfigError
from export.id_lists import read_id_list
from export.policy.config import Excluded, ListsConfig, Policy, read_lists

__all__ = ["Exclude", "PolicyConfig"]

Exclude = Literal["none", "seen"]  # items of the session: kept in its list but for the disliked ones, or out of it


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What the operator wants of the lists: a file that says all of it, or two options for what is asked for most."""

    file: Path | None = None  # placements and their policies; read again whenever it changes
    exclude: Exclude = "none"  # none: an item may be shown again, as in the published measures
    blocked_items: Path | None = None  # a text file, one item id a line (export.id_lists)

    def __post_init__(self) -> None:
        if self.exclude not in ("none", "seen"):
            raise ConfigError(f"exclude must be none or seen, not {self.exclude!r}")
        if self.file is not None and (self.exclude != "none" or self.blocked_items is not None):
            raise ConfigError(f"what is excluded and blocked is said in {self.file}, or by options: not by both")

    def read(self, k: int) -> ListsConfig:
        """The lists, of `k` items where the file does not say how many. ConfigError as of what it reads."""
        if self.file is not None:
            return read_lists(self.file, k)
        blocked = read_id_list(self.blocked_items, "the blocked items") if self.blocked_items else []
        exclude: tuple[Excluded, ...] = ("seen",) if self.exclude == "seen" else Policy().exclude
        return ListsConfig.single(k, Policy(exclude=exclude, blocked=frozenset(blocked)))
