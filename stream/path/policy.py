"""Which items must not be in a list: those seen in the session, and those the operator blocked."""

import logging
from collections.abc import Collection, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.errors import ConfigError
from export.id_lists import read_id_list
from stream.partition.session import SessionState

__all__ = ["Exclude", "Policy", "PolicyConfig", "read_blocked_items"]

log = logging.getLogger(__name__)

_NAMED = 3  # unknown ids that the log names

Exclude = Literal["none", "seen"]  # items of the session: kept in its list, or out of it


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """What the operator wants kept out of every list."""

    exclude: Exclude = "none"  # none: an item may be shown again, as in the published measures
    blocked_items: Path | None = None  # a text file, one item id a line (export.id_lists)

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

    def count_unknown(self, vocabulary: Container[str], version: str) -> int:
        """How many of the blocked ids the model `version` does not know; the log says some of them."""
        unknown = sorted(item for item in self.blocked if item not in vocabulary)
        if unknown:
            log.warning(
                "model %s does not know %d of the %d blocked items, such as %s: nothing is wrong if the shop no longer "
                "has them; else spell them as the click log does",
                version,
                len(unknown),
                len(self.blocked),
                ", ".join(map(repr, unknown[:_NAMED])),
            )
        return len(unknown)


def read_blocked_items(path: Path) -> frozenset[str]:
    """The ids of a list as `export.id_lists` describes it. ConfigError where unreadable."""
    return frozenset(read_id_list(path, "the blocked items"))
