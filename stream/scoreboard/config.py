"""Settings of the scoreboard."""

from dataclasses import dataclass, field

from export.checks import require_finite
from export.errors import ConfigError
from export.experiments.sequence import SequenceConfig

__all__ = ["ScoreboardConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreboardConfig:
    """How sessions are told apart, and what is kept. ConfigError for values that can't be."""

    idle_s: float = 1800.0  # of silence, which ends a session; as the workers have it
    max_sessions: int = 200_000  # that are open in a partition: where there are more, the oldest is ended
    snapshot_s: float = 30.0  # between two writings of the state: so much is read again after a kill
    placement: str = ""  # whose lists are counted; empty: those that name none
    max_models: int = 200  # versions that are counted apart: those not seen for longest are counted as `older`
    sequence: SequenceConfig = field(default_factory=SequenceConfig)  # of the intervals

    def __post_init__(self) -> None:
        require_finite(self)
        if self.idle_s <= 0 or self.snapshot_s <= 0:
            raise ConfigError("a session's silence and the time between two snapshots must be above 0 seconds")
        if self.max_sessions < 1 or self.max_models < 1:
            raise ConfigError("at least one session must be open in a partition, and one version counted apart")
