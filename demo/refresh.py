"""A fresh model from the clicks that flow: train, promote, wait until shoppers see it. A step a tick, none blocks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from demo.children import Child
from demo.click_log import ClickLog, write_click_log
from demo.training import Trained, TrainerConfig, TrainerRun
from demo.view import Training
from export.checks import require_finite

__all__ = ["RefreshConfig", "Refresher", "newest_sessions", "split_flow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshConfig:
    """When and how a fresh model is made while clicks flow."""

    first_after_s: float = 4.0  # of shopping; the clicks until then are in it
    every_s: float = 60.0  # between a model in service and the training of the next
    max_seconds: float = 6.0  # of training; it starts from the weights of the last one
    history_sessions: int = 8_000  # newest of the old log, trained on again so that nothing is forgotten
    held_out: float = 0.2  # share of the flowed sessions, the newest, that validate
    min_sessions: int = 50  # flowed and learned from before a training makes sense
    nice: int = 10  # answers come first

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)


class Refresher:
    """Drives the trainings. `bootstrap` is where promotions are announced; `say` hears what happens."""

    def __init__(
        self,
        config: RefreshConfig,
        trainer: TrainerConfig,
        *,
        bootstrap: str,
        folder: Path,
        registry: Path,
        checkpoint: Path,
        item_ids: list[str],
        history: ClickLog,
        say: Callable[[str], None],
    ) -> None:
        self._config = config
        self._trainer = replace(trainer, max_seconds=config.max_seconds, threads=1)  # a core is left to the worker
        self._bootstrap, self._folder, self._registry, self._checkpoint = bootstrap, folder, registry, checkpoint
        self._item_ids, self._say = item_ids, say
        self._history = newest_sessions(history, config.history_sessions)
        self._training: TrainerRun | None = None
        self._promotion: Child | None = None
        self._trained: Trained | None = None
        self._due = config.first_after_s
        self.served = 0  # fresh models that shoppers have seen

    @property
    def progress(self) -> Training | None:
        """The training that runs, if one does."""
        return self._training.progress() if self._training is not None else None

    def tick(self, seconds: float, flowed: Callable[[], ClickLog], models: tuple[str, ...]) -> None:
        """Do what is due `seconds` after the first click; `models` are the versions whose lists were seen."""
        if self._training is not None:
            if not self._training.child.running:
                self._promote(self._training.result())
        elif self._promotion is not None:
            if not self._promotion.running:
                self._promotion.result()
                self._promotion = None
        elif self._trained is not None:
            if self._trained.version in models:
                self._in_service(seconds)
        elif seconds >= self._due:
            self._train(flowed())

    def stop(self) -> None:
        """End what runs."""
        if self._training is not None:
            self._training.child.stop()
        if self._promotion is not None:
            self._promotion.stop()

    def _train(self, flowed: ClickLog) -> None:
        train, valid = split_flow(flowed, self._config.held_out)
        sessions = len(np.unique(train.session))
        if sessions < self._config.min_sessions or not len(valid.session):
            self._due += 1.0
            return
        data, held_out = self._folder / "flowed.parquet", self._folder / "held-out.parquet"
        both = zip(self._history, train, strict=True)
        write_click_log(data, self._item_ids, ClickLog(*(np.concatenate(pair) for pair in both)))
        write_click_log(held_out, self._item_ids, valid)
        old, self._checkpoint = self._checkpoint, self._folder / f"checkpoint-{self.served + 2}"
        clicks = f"{len(train.ts):,} clicks of {sessions:,} live sessions"
        self._say(f"training a fresh model on the {clicks}, and on older ones")
        self._training = TrainerRun(
            "fresh model",
            self._trainer,
            data=data,
            valid=held_out,
            registry=self._registry,
            checkpoint=self._checkpoint,
            init_from=old,
            scratch=self._folder,
            nice=self._config.nice,
        )

    def _promote(self, trained: Trained) -> None:
        self._training, self._trained = None, trained
        self._say(f"model {trained.version} trained in {trained.seconds:.0f} s; announcing it to the worker")
        where = ["--registry", str(self._registry), "--bootstrap-servers", self._bootstrap, "--json"]
        self._promotion = Child("promotion", ["models", "promote", trained.version, *where], scratch=self._folder)

    def _in_service(self, seconds: float) -> None:
        assert self._trained is not None, "only a trained model comes into service"
        self._say(f"model {self._trained.version} is in service, swapped in while the clicks flowed")
        self._trained = None
        self.served += 1
        self._due = seconds + self._config.every_s


def newest_sessions(log: ClickLog, count: int) -> ClickLog:
    """The clicks of the `count` sessions that began last."""
    first = np.unique(log.session)[-count:][:1]
    return ClickLog(*(column[log.session >= first] for column in log)) if len(first) else log


def split_flow(log: ClickLog, held_out: float) -> tuple[ClickLog, ClickLog]:
    """The older sessions, and the share `held_out` of them that began last; those of one click yet are in neither."""
    sessions, clicks = np.unique(log.session, return_counts=True)  # numbered in the order they began
    sessions = sessions[clicks >= 2]
    parts = np.split(sessions, [round(len(sessions) * (1.0 - held_out))])
    old, new = (np.isin(log.session, part) for part in parts)
    return ClickLog(*(column[old] for column in log)), ClickLog(*(column[new] for column in log))
