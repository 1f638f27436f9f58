"""What a training reports when it is done: the figures of `nextclick train --json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["UNTRAINED", "TrainSummary"]

UNTRAINED = "no step was trained, as the time was up: what is judged is of first vectors and of what counts know"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSummary:
    """Figures of one training that ended in a published bundle."""

    version: str  # in the registry
    bundle: str  # where the published bundle lies: a directory, or the URL of it
    epochs: float  # passes over the training sessions
    seconds: float  # of training steps
    sessions_per_s: float  # trained sessions a second of them
    peak_memory_mb: float  # largest resident memory of this process so far, MiB
    valid: dict[str, float]  # metrics of the exported graph, through the Ranker
    baselines: dict[str, dict[str, float]]  # baseline -> its metrics on the same sessions
    checkpoint_dir: Path  # what a later training can start from (`--init-from`)
    metrics_file: Path  # JSON lines of losses and validations (model/reports/curves.py)
    plot: Path | None  # the learning curves drawn; None where they could not be
    left_out: dict[str, str] = field(default_factory=dict)  # baseline -> why it was not asked
    afterwards: dict[str, Any] = field(default_factory=dict)  # the layer behind the network, and what it gained
    verdict: str = ""  # whether the model beat them, in words
    estimated_s: float | None = None  # seconds of training, as told before it; None: it was too short for that
    refitted: bool = False  # the published weights learned what was held out, too; `valid` is of those before that

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
