"""What runs behind the shop, for whoever looks at the demo beside the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.hits import HitCounter
from demo.join import ClickJoin
from demo.trainer import TrainerService
from demo.view import View
from demo.workers import Workers
from stream.messages.contract import Recommendation
from stream.topic_names import Topics

__all__ = ["Guest", "System"]


@dataclass(slots=True)
class System:
    """The parts that there are so far; None before they start."""

    bootstrap: str
    registry: Path
    folder: Path  # for temporary files
    item_ids: list[str]  # that the shop sells, or will after its shift
    topics: Topics = field(default_factory=Topics)
    join: ClickJoin = field(default_factory=ClickJoin)
    hits: HitCounter | None = None
    popular: list[str] = field(default_factory=list)  # the most clicked items of the log, best first
    facts: Mapping[str, int] = field(default_factory=dict)  # of the log: items, sessions, clicks
    trainer: TrainerService | None = None
    workers: Workers | None = None


class Guest:
    """What the demo tells of itself; this one does not listen."""

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def beside(self, view: View) -> View:
        """A view that shows to both."""
        return view

    def opened(self, system: System) -> None:
        """The cluster is there; `system` fills up as parts start."""

    def stage(self, name: str) -> None:
        """What begins now: broker, log, training, worker, shopping, closing."""

    def listed(self, found: Recommendation, partition: int, offset: int) -> None:
        """A list was read from its topic. Called in the thread that reads."""
