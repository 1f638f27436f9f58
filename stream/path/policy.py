"""Which items must not be in a list: those seen in the session, and those the operator blocked."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.errors import ConfigError
from stream.partition.session import SessionState

__all__ = ["Exclude", "Policy", "PolicyConfig", "read_blocked_items"]

Exclude = Literal["none", "seen"]  # items of the session: kept in its list, or out of it


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What the operator wants kept out of every list."""

    exclude: Exclude = "none"  # none: an item may be shown again, as in the published measures
    blocked_items: Path | None = None  # a text file, one item id a line

    def __post_init__(self) -> None:
        if self.exclude not in ("none", "seen"):
            raise ConfigError(f"exclude must be none or seen, not {self.exclude!r}")


class Policy:
    """The configured exclusions, read once at start."""

    def __init__(self, config: PolicyConfig) -> None:
        self.seen = config.exclude == "seen"
        self.blocked = read_blocked_items(config.blocked_items) if config.blocked_items else frozenset()

    def excluded(self, state: SessionState) -> Collection[str]:
        """The ids that must not be recommended to this session; skipped and disliked items count as seen."""
        if not self.seen:
            return self.blocked
        return self.blocked.union(state.items) if self.blocked else state.items


def read_blocked_items(path: Path) -> frozenset[str]:
    """One id a line, UTF-8; empty lines and lines that start with `#` are left out. ConfigError where unreadable."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the blocked items in {path} cannot be read: {error}") from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
