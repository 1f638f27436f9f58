"""`nextclick tune`: trials of a preset's settings until the time is over, kept in one file that is gone on with.

Each trial trains on the log without its newest part and is judged on that, as `train` does, by Recall@20. It validates
after each pass; one that is then below the median of those before it is ended (pruned). A trial that a kill cut short
is done again.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from export.checks import require_finite
from export.errors import ConfigError
from model.config import Preset
from model.data.log import SessionLog
from model.errors import TrainingError
from model.evaluate.metrics import MAIN, SECOND
from model.learn.committee import train_preset
from model.machine.memory import release_memory
from model.reports.progress import OnProgress, Progress, ignore
from model.settings import with_settings
from model.tune.space import space_of, start_of, suggested

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["Tried", "TuneConfig", "Tuned", "tune"]

REMEDY = "the search needs Optuna: pip install 'nextclick[tune]'"
WARM_UP = 5  # trials that are done to the end before any is pruned
RANKED = 8  # complete trials from which on it can be told what mattered


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneConfig:
    """One call of the search."""

    study: Path  # the file; made where there is none
    budget_s: float  # seconds of this call; a trial that is running then is given up
    trials: int | None = None  # and at most so many of this call
    seed: int = 0  # of the search; trainings have the preset's

    def __post_init__(self) -> None:
        """ConfigError for a budget that is none."""
        require_finite(self)
        if self.budget_s <= 0:
            raise ConfigError(f"budget_s must be above 0, got {self.budget_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One trial that was done to its end."""

    number: int
    recall: float
    mrr: float
    seconds: float
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What the study holds, earlier calls among it."""

    base: str
    best: list[Tried]  # the best first
    importance: dict[str, float] = field(default_factory=dict)  # share by field; {}: too few trials
    pruned: int = 0
    failed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        trials = [{name: getattr(one, name) for name in Tried.__slots__} for one in self.best]
        return {
            "base": self.base,
            "trials": trials,
            "importance": self.importance,
            "pruned": self.pruned,
            "failed": self.failed,
        }


class _Over(Exception):
    """The time is over."""


def tune(
    log: SessionLog, valid: SessionLog, preset: Preset, config: TuneConfig, on_progress: OnProgress = ignore
) -> Tuned:
    """Search until the budget is spent. ConfigError without Optuna, or for a study of another log or preset."""
    optuna = _optuna()
    study = _opened(optuna, config, f"{log.digest()[:16]} {valid.digest()[:16]} {preset.name}")
    space, end = space_of(preset), time.monotonic() + config.budget_s
    if not study.trials:
        study.enqueue_trial(start_of(preset, space))
    _again(optuna, study)
    validating = replace(preset, train=replace(preset.train, validate_epochs=True))
    done = 0
    while time.monotonic() < end and (config.trials is None or done < config.trials):
        trial = study.ask()
        settings, began = suggested(trial, space), time.monotonic()
        try:
            found = _train(
                log, valid, with_settings(validating, settings), _judge(trial, end), trial.number, on_progress
            )
        except _Over:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(settings)  # first thing the next time
            on_progress(Progress(stage="tune", message=f"trial {trial.number} is left for another time"))
            break
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            on_progress(Progress(stage="tune", message=f"trial {trial.number} is behind the median and ended"))
        except (ConfigError, TrainingError) as error:  # sizes that do not fit each other, a rate too high
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            on_progress(Progress(stage="tune", message=f"trial {trial.number} failed: {error}"))
        else:
            trial.set_user_attr("mrr", found[SECOND])
            trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
            study.tell(trial, found[MAIN])
            on_progress(Progress(stage="tune", message=f"trial {trial.number}", metrics=found))
        done += 1
        release_memory()
    return _found(optuna, study, preset.name)


def _train(
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    judge: Callable[[Progress], None],
    number: int,
    on_progress: OnProgress,
) -> dict[str, float]:
    def watch(report: Progress) -> None:
        on_progress(replace(report, message=report.message or f"trial {number}"))
        judge(report)

    return dict(train_preset(log, valid, preset, on_progress=watch).valid)


def _judge(trial: Trial, end: float) -> Callable[[Progress], None]:
    """Ends a trial whose time is over, or that is behind. Encoders of a committee have steps of their own."""

    def judge(report: Progress) -> None:
        if time.monotonic() > end and report.stage == "train":
            raise _Over
        if report.stage != "validate" or MAIN not in report.metrics or not report.epoch:
            return
        number = int(report.member.partition("/")[0] or 1)
        trial.report(report.metrics[MAIN], 1000 * number + report.epoch)
        if report.epoch < report.epochs and trial.should_prune():
            import optuna

            raise optuna.TrialPruned

    return judge


def _opened(optuna: Any, config: TuneConfig, what: str) -> Study:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config.study.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # that parts of Optuna may change
        warnings.simplefilter("ignore")
        study = cast(
            "Study",
            optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(config.study))),
                study_name="nextclick",
                direction="maximize",
                load_if_exists=True,
                sampler=optuna.samplers.TPESampler(
                    seed=config.seed, multivariate=True, warn_independent_sampling=False
                ),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP),
            ),
        )
    known = study.user_attrs.get("of")
    if known is not None and known != what:
        raise ConfigError(f"{config.study} is a study of another log or preset: name another --study, or remove it")
    study.set_user_attr("of", what)
    return study


def _again(optuna: Any, study: Study) -> None:
    """Trials that a kill cut short are done again."""
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _found(optuna: Any, study: Study, base: str) -> Tuned:
    states = optuna.trial.TrialState
    complete = study.get_trials(states=(states.COMPLETE,))
    best = [
        Tried(
            number=one.number,
            recall=float(one.value or 0.0),
            mrr=float(one.user_attrs.get("mrr", math.nan)),
            seconds=float(one.user_attrs.get("seconds", 0.0)),
            settings=dict(one.params),
        )
        for one in complete
    ]
    best.sort(key=lambda one: (-one.recall, -one.mrr))
    importance = {}
    if len(best) >= RANKED:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return Tuned(
        base=base,
        best=best,
        importance={name: float(share) for name, share in importance.items()},
        pruned=len(study.get_trials(states=(states.PRUNED,))),
        failed=len(study.get_trials(states=(states.FAIL,))),
    )


def _optuna() -> Any:  # the module, which need not be there
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(REMEDY) from error
    return optuna
