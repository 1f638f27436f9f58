"""`nextclick trainer` as the demo starts it: the first model from the shop's log, then fresh ones from the live clicks.

The demo has no way of its own to make a model. Which version is live it reads in the registry, and what the trainer is
at in its /health, like everybody.
"""

import json
import textwrap
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from demo.children import Child, free_port
from demo.view import Training
from export.checks import require_finite
from export.registry.registry import Registry

__all__ = ["TrainerConfig", "TrainerService"]

_LOOK_S = 0.5  # between two looks at /health and registry
_ANSWER_S = 2.0
_DECISIONS = "decisions.jsonl"
_MAX_DETAIL = 90  # characters of a step that fit on a line


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """How the demo's trainer is set: short trainings, often. The gate stays, but for what a minute can't tell."""

    preset: str = "tron-fast"
    counts: str = "auto"  # behind the network: auto, on, off
    max_seconds: float = 30.0  # of a training, should the machine be slow
    fresh_every_s: float = 15.0  # between two versions
    flush_s: float = 1.0  # until a click is stored
    min_sessions: int = 500  # before the first training
    baselines: str = "popularity,items-after"  # vmis-knn takes as long as the training
    tolerance: float = 0.02  # some hundred sessions judge: a chance of .02 either way
    slack: float = 0.2  # below the best baseline: on a slow machine the time is over before the model is good
    threads: int = 1  # CPU threads of a training: a core is left to the worker and the shoppers
    seed: int = 0

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)

    def options(self) -> list[str]:
        """Those of the command."""
        given: dict[str, object] = {
            "preset": self.preset,
            "counts": self.counts,
            "max-seconds": self.max_seconds,
            "fresh-every": f"{self.fresh_every_s:g}s",
            "flush-s": self.flush_s,
            "min-sessions": self.min_sessions,
            "baselines": self.baselines,
            "tolerance": self.tolerance,
            "slack": self.slack,
            "threads": self.threads,
            "seed": self.seed,
        }
        # The first list within a minute: the newest tenth is judged, and learned with the first fresh version
        return ["--no-refit", *(word for name, value in given.items() for word in (f"--{name}", str(value)))]


class _Decision(msgspec.Struct):
    """A line of the trainer's decisions.jsonl."""

    cycle: str
    mode: str
    outcome: str
    error: str = ""
    gate: dict[str, Any] = {}

    def words(self) -> str:
        why = self.error or "; ".join(self.gate.get("reasons", ()))
        return f"{self.mode} training {self.cycle} {self.outcome}: {why}"


class TrainerService:
    """The trainer as a child, while the block lasts."""

    def __init__(self, config: TrainerConfig, *, bootstrap: str, data: Path, registry: Path, folder: Path) -> None:
        port = free_port()
        where = ["--bootstrap-servers", bootstrap, "--data", str(data), "--registry", str(registry)]
        args = ["trainer", *where, *config.options(), "--web-port", str(port)]
        self.child = Child("trainer", args, scratch=folder)
        self.config = config
        self._url = f"http://127.0.0.1:{port}/health"
        self._registry = Registry(registry)
        self._folder, self._decided = registry / ".trainer", 0
        self._look_at = 0.0
        self._live = ""
        self._health: dict[str, Any] = {}

    def __enter__(self) -> "TrainerService":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def live(self) -> str:
        """The version that is live; empty before the first. DemoError if the trainer has ended."""
        self._look()
        return self._live

    def training(self) -> Training | None:
        """The training that runs, None between two of them."""
        self._look()
        if not self._health.get("cycle"):
            return None
        step = textwrap.shorten(str(self._health.get("step", "")), _MAX_DETAIL, placeholder=" …")
        return Training(label=f"version {self._next()}", detail=step or "starts")

    def health(self) -> dict[str, Any] | None:
        """What its /health says now; None before it answers. For any thread."""
        try:
            with urllib.request.urlopen(self._url, timeout=_ANSWER_S) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:  # not ready: it says so in the same words
            with error:
                return dict(json.load(error))
        except (OSError, ValueError):  # it starts
            return None

    def decisions(self) -> list[str]:
        """What has been decided since the last call, a line for each cycle that published nothing."""
        file = self._folder / _DECISIONS
        lines = file.read_bytes().splitlines() if file.exists() else []
        new, self._decided = lines[self._decided :], len(lines)
        found = [msgspec.json.decode(line, type=_Decision) for line in new]
        return [one.words() for one in found if one.outcome != "published"]

    def headline(self, version: str) -> str:
        """What was measured of a version, beside its baselines, by its manifest."""
        manifest = self._registry.manifest(version)
        others = ", ".join(f"{name} {of.get('recall@20', 0.0):.3f}" for name, of in manifest.baselines.items())
        return f"recall@20 {manifest.valid.get('recall@20', 0.0):.3f} ({others})"

    def origin(self, version: str) -> str:
        """How a version came about, by its manifest."""
        lineage = self._registry.manifest(version).lineage
        if lineage is None:
            return "not from the trainer"
        return f"{lineage.mode} training" + (f" on top of model {lineage.parent}" if lineage.parent else "")

    def _next(self) -> int:
        return int(self._live or 0) + 1

    def _look(self) -> None:
        self.child.check_running()
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        if self._registry.exists():
            self._live = self._registry.live() or ""
        self._health = self.health() or {}
