"""`nextclick train` as the demo calls it, and what its progress lines say."""

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from demo.children import Child
from demo.errors import DemoError
from demo.view import Training
from export.checks import require_finite

__all__ = ["ProgressLines", "Trained", "TrainerConfig", "TrainerRun"]

_STEP = re.compile(r"^train (\d+)%\s*(.*)$")  # `train 37% epoch 1/3 loss 4.2100  812 sessions/s`
_MAX_DETAIL = 90  # characters of a line that fit beside the bar


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """How the demo trains: the preset for short trainings, with a limit."""

    preset: str = "tron-fast"
    epochs: float | None = None  # passes; None: the preset's, by the size of the log
    max_seconds: float = 28.0  # of training, should the machine be slow; the rest takes 10 to 15 s
    threads: int = 0  # CPU threads; 0: one a core
    seed: int = 0

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)


class Trained(msgspec.Struct, frozen=True):
    """What the demo needs of the summary that `train --json` prints."""

    version: str
    seconds: float
    valid: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]

    def headline(self) -> str:
        """Recall of the model beside its baselines."""
        others = ", ".join(f"{name} {figures.get('recall@20', 0.0):.3f}" for name, figures in self.baselines.items())
        return f"recall@20 {self.valid.get('recall@20', 0.0):.3f} ({others})"


class ProgressLines:
    """Where a training stands, by the lines it prints. For two threads: one hears, one looks."""

    def __init__(self, label: str, max_seconds: float) -> None:
        self._label, self._max_seconds = label, max_seconds
        self._lock = threading.Lock()
        self._share, self._detail = 0.0, "starting"
        self._began: float | None = None  # when the first step was reported

    def hear(self, line: str) -> None:
        """Take in one line."""
        step = _STEP.match(line)
        with self._lock:
            if step is not None:
                self._began = self._began or time.monotonic()
                self._share = int(step[1]) / 100.0
            self._detail = (step[2] if step is not None else line)[:_MAX_DETAIL]

    def progress(self) -> Training:
        """The larger of the steps done and the time used."""
        with self._lock:
            used = (time.monotonic() - self._began) / self._max_seconds if self._began is not None else 0.0
            return Training(label=self._label, share=min(max(self._share, used), 1.0), detail=self._detail)


class TrainerRun:
    """One training as a child process."""

    def __init__(
        self,
        label: str,
        config: TrainerConfig,
        *,
        data: Path,
        registry: Path,
        checkpoint: Path,
        valid: Path | None = None,
        init_from: Path | None = None,
        scratch: Path,
        nice: int = 0,
    ) -> None:
        lines = ProgressLines(label, config.max_seconds)
        self.progress = lines.progress
        options: dict[str, Any] = {
            "data": data,
            "registry": registry,
            "checkpoint-dir": checkpoint,
            "valid": valid,
            "init-from": init_from,
            "preset": config.preset,
            "epochs": config.epochs,
            "max-seconds": config.max_seconds,
            "threads": config.threads,
            "seed": config.seed,
        }
        given = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
        args = ["train", *(word for pair in given for word in pair), "--json"]
        self.child = Child("trainer", args, scratch=scratch, on_line=lines.hear, nice=nice)

    def result(self) -> Trained:
        """The summary, once the child has ended; DemoError if it failed."""
        line = self.child.result()
        try:
            return msgspec.json.decode(line, type=Trained)
        except msgspec.MsgspecError as error:
            raise DemoError(f"the trainer's summary can't be read: {error}") from error
