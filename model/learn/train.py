"""The training loop: repeatable by its seed, resumable at any step, the best epoch on validation kept.

Everything random (order, negatives, masks, dropout) is drawn from generators seeded by (seed, epoch or step) alone.
So a state is weights, optimizer and step, and a resumed training computes, bit for bit, what an uninterrupted one does,
given the same number of threads and processes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.codes.make import training_codes
from model.config import Preset
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.errors import CheckpointError, Interrupted, TrainingError
from model.evaluate.metrics import MAIN, SECOND
from model.learn import checkpoint
from model.learn.batch_loss import batch_loss
from model.learn.batches.draws import Draws
from model.learn.distributed import ALONE, Team
from model.learn.length import length_of
from model.learn.losses.matmul import Products
from model.learn.optimizer import Average, Optimizer, is_lazy
from model.learn.rows import seen_by, signs_of
from model.learn.seeds import IDS, seed_of
from model.learn.trained import Trained
from model.learn.validation import validate
from model.learn.warm.start import features_of, start_from
from model.learn.warm.together import begin_together
from model.machine.interrupt import noting_end_signals
from model.machine.threads import use_threads
from model.nets.encoders import new_encoder
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["Trainer", "train"]

REPORT_EVERY = 0.5  # seconds between reports inside an epoch
SELECT_BY = (MAIN, SECOND)  # the validation metrics that decide which epoch is kept, the first above the next
MOST_VALIDATIONS = 50  # of one training; more epochs than that, as a short log has, are validated now and then


class Trainer:
    """One training of one encoder on one log."""

    def __init__(
        self,
        log: SessionLog,
        valid: SessionLog,
        preset: Preset,
        *,
        run: str,
        directory: Path | None = None,
        on_progress: OnProgress = ignore,
        team: Team = ALONE,
        items: ItemFeatures | None = None,
        codes: NDArray[np.uint8] | None = None,
    ) -> None:
        """`run` names data and options: a checkpoint of another run is refused. TrainingError for an empty log.

        codes (V + 1, m): of the items, of a preset with codes; None: made of the log.
        """
        if log.sessions == 0:
            raise TrainingError("the training log has no session of at least 2 clicks: nothing can be learned")
        config = preset.train
        self.log, self.valid, self.preset, self.run_id = log, valid.thinned(config.valid_sessions), preset, run
        self.directory, self.on_progress, self.team = directory, on_progress, team
        use_threads(config.threads)
        self.device = torch.device(config.device)
        codes = training_codes(log, preset, team, on_progress) if codes is None else codes
        self.encoder = new_encoder(preset, len(log.vocabulary), items, codes).to(self.device)
        self.steps, self.total = config.steps(log.sessions)  # of an epoch, of the whole training at most
        self.length = length_of(config, log.sessions, by_time=team.size == 1)  # clocks of several processes differ
        self.draws = Draws(log, preset, device=self.device, team=team)
        self.products = Products(config.precision, self.device)
        may_be_lazy = team.size == 1 and not self.draws.everything and preset.codes is None
        self.lazy = may_be_lazy and is_lazy(config, **self.draws.reach())
        self.optimizer = Optimizer(self.encoder, config, lazy=self.lazy)
        self.average = Average(self.encoder.parameters(), config.ema) if config.ema else None
        self.step, self.seconds, self.loss_sum = 0, 0.0, 0.0
        self.best: dict[str, Any] | None = None
        self.history: list[dict[str, float]] = []
        self._unreported: list[float] = []  # losses of the steps since the last report
        self._spent = 0.0  # wall time of the parts before this one, seconds
        self._began = self._saved_at = self._reported_at = time.monotonic()

    def run(self) -> Trained:
        """Train to the last step or the time limit, and return the best model; saved, then Interrupted by a signal.

        The time that earlier parts of a resumed training took counts: the same command again gives the same model.
        """
        self._began, limit = time.monotonic() - self._spent, self.preset.train.max_seconds or float("inf")
        stop = self._spent >= limit
        with noting_end_signals() as signal:
            while not self.length.over(self.step) and not stop:
                stop = self.train_step(stop=bool(signal) or self.spent() >= limit)
                self.consider()
                if self.validates():
                    self.end_epoch()
                elif time.monotonic() - self._saved_at >= self.preset.train.checkpoint_every:
                    self.save()
            if self.team.any(bool(signal)):
                self.save()
                raise Interrupted(f"interrupted after step {self.step:,} of {self.total:,}", signal.exit_code)
            if not self.history or self.history[-1]["epoch"] != self.passes():  # the time limit, or a part of an epoch
                self.end_epoch()
        return self.result()

    def validates(self) -> bool:
        """Return whether an epoch has just ended that is to be validated."""
        epochs = -(-self.total // (self.steps * MOST_VALIDATIONS))
        return self.preset.train.validate_epochs and self.step % (self.steps * epochs) == 0

    def consider(self) -> None:
        """Begin to bring the rate down where steps, time, or what held-out sessions say ask for it."""
        self.length.tick(self.step, self.spent())
        if self.length.looks(self.step):
            with self._averaged():
                figures = self.validate(self.preset.train.look_sessions)
            self.length.note(self.step, self.spent(), figures[MAIN] + figures[SECOND])
            self.report("look", figures)

    def spent(self) -> float:
        """Return the seconds of this training, those of earlier parts among them."""
        return time.monotonic() - self._began

    def passes(self) -> float:
        """Return the epochs done, a fraction inside one."""
        return round(self.step / self.steps, 4)

    def done(self) -> float:
        """Return the share of the training that is over, about."""
        return self.length.done(self.step, self.spent())

    def train_step(self, *, stop: bool = False) -> bool:
        """Take one batch, update the weights; return whether any process wants to stop (`stop`: this one does).

        Raises TrainingError when the loss is not finite.
        """
        began = time.monotonic()
        epoch, step = divmod(self.step, self.steps)
        if step == 0:
            self.loss_sum = 0.0
        value, stop = self.update(self.draws.sessions(epoch, step), stop=stop)
        if value != value or value in (float("inf"), float("-inf")):
            raise TrainingError(f"the loss is {value} at step {self.step}: lower the learning rate")
        self.loss_sum += value
        self._unreported.append(value)
        if self.average is not None:
            self.average.update(self.step)
        self.step += 1
        self.seconds += time.monotonic() - began
        if time.monotonic() - self._reported_at >= REPORT_EVERY:
            self.report("train")
        return stop

    def update(self, chosen: Tensor, *, stop: bool = False) -> tuple[float, bool]:
        """Move the weights by the gradient of the sessions `chosen` (S,); return the loss, and whether to stop."""
        done = self.done()
        comparison = self.draws.comparison(done)
        rate = self.optimizer.set_rate(self.length.factor(self.step, self.spent()))
        self.optimizer.zero_grad()
        batch, candidates = self.draws.draw(self.team.share(chosen), step=self.step, sampler=comparison.sampler)
        seed = seed_of(self.preset.train.seed, IDS, self.step, self.team.rank)
        seen = seen_by(self.encoder, batch, candidates, lazy=self.lazy, seed=seed)
        loss = batch_loss(
            self.encoder, seen, self.preset, self.products, comparison.row_loss, step=self.step, rank=self.team.rank
        )
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [weight.grad for weight in self.encoder.parameters() if weight.grad is not None]
        value, stop = self.team.average_(grads, positions=len(batch.asked()[0]), loss=float(loss.detach()), stop=stop)
        self.optimizer.step()
        if seen.rows is not None and seen.ids is not None:
            assert seen.rows.grad is not None, "every step reaches some item"
            self.optimizer.step_rows(self.encoder.table, seen.ids[1:], seen.rows.grad[1:], step=self.step, rate=rate)
        return value, stop

    def end_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, save. TrainingError where they are not finite."""
        if not all(bool(weight.isfinite().all()) for weight in self.encoder.parameters()):
            raise TrainingError(f"the weights are not finite after step {self.step}: lower the learning rate")
        with self._averaged():
            figures = self.validate()
            if self.best is None or _quality(figures) >= _quality(self.best["metrics"]):
                weights = {name: value.detach().cpu().clone() for name, value in self.encoder.state_dict().items()}
                self.best = {"metrics": figures, "weights": weights}
        trained = self.step % self.steps or self.steps
        self.history.append({"epoch": self.passes(), "loss": self.loss_sum / trained, **figures})
        self.report("validate", figures)
        self.save()

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def validate(self, most: int | None = None) -> dict[str, float]:
        """Return the figures of the weights as they are, on `most` sessions; those of process 0 on all of them."""
        valid, row = self.valid.thinned(most), self.preset.train.row
        state: list[Any] = [validate([self.encoder], valid, row=row) if self.team.leads else {}]
        self.team.same_on_all(state)
        figures: dict[str, float] = state[0]
        return figures

    def report(self, stage: str, figures: Mapping[str, float] | None = None) -> None:
        """Tell `on_progress` where training stands."""
        self._reported_at = time.monotonic()
        epoch, step = divmod(self.step - 1, self.steps)
        of_epoch = figures is not None or not self._unreported
        loss = self.loss_sum / (step + 1) if of_epoch else sum(self._unreported) / len(self._unreported)
        self._unreported.clear()
        self.on_progress(
            Progress(
                stage=stage,
                epoch=epoch + 1,
                epochs=-(-self.total // self.steps),
                step=step + 1,
                steps=self.steps,
                done=self.done(),
                loss=loss,
                sessions_per_s=self.speed(),
                metrics=figures or {},
            )
        )

    def speed(self) -> float:
        """Return trained sessions a second of training time."""
        epochs, step = divmod(self.step, self.steps)
        of_epochs = epochs * self.preset.train.drawn(self.log.sessions)
        return (of_epochs + step * self.preset.train.batch) / max(self.seconds, 1e-9)

    def result(self) -> Trained:
        """Return the best model so far."""
        assert self.best is not None, "run() validates before it ends"
        self.encoder.cpu().load_state_dict(self.best["weights"])
        self.encoder.eval()
        self.encoder.dropout.forget()
        self.encoder.input_dropout.forget()
        return Trained(
            encoders=(self.encoder,),
            epochs=self.passes(),
            limited=self.length.limited or not self.length.over(self.step),
            seconds=self.seconds,
            spent=self.spent(),
            sessions_per_s=self.speed(),
            valid=self.best["metrics"],
            history=self.history,
        )

    def save(self) -> None:
        """Write the checkpoint, if there is a directory for it."""
        self._saved_at = time.monotonic()
        if self.directory is None or not self.team.leads:
            return
        counters = {"step": self.step, "seconds": self.seconds, "loss_sum": self.loss_sum, "history": self.history}
        counters["spent"] = self._saved_at - self._began
        state = {
            "run": self.run_id,
            "preset": self.preset.to_dict(),
            "best": self.best,
            "vocabulary": self.log.vocabulary.to_bytes(),
            "features": features_of(self.encoder),
            "weights": self.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "length": self.length.state(),
        }
        checkpoint.save(self.directory, state | counters)

    def resume(self) -> bool:
        """Continue from this run's checkpoint, if there is one. CheckpointError for a bad one or another run's."""
        if self.directory is None or not checkpoint.exists(self.directory):
            return False
        state = checkpoint.load(self.directory)
        if state.get("run") != self.run_id:
            raise CheckpointError(
                f"{self.directory} holds the checkpoint of another training (other data, options or seed): "
                "choose another checkpoint directory, or do not resume"
            )
        try:
            self.encoder.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.best, self.history = state["best"], state["history"]
            self.step, self.seconds, self.loss_sum = state["step"], state["seconds"], state["loss_sum"]
            self._spent = state.get("spent", state["seconds"])  # checkpoints of 0.1 do not tell
            self.length.restore(state.get("length", {}))  # nor those of 0.2
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{self.directory} holds an incomplete checkpoint: {error}") from error
        return True


def _quality(figures: Mapping[str, float]) -> tuple[float, ...]:
    return tuple(figures[name] for name in SELECT_BY)


def train(
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    *,
    run: str = "",
    directory: Path | None = None,
    resume: bool = True,
    init_from: Path | None = None,
    on_progress: OnProgress = ignore,
    team: Team = ALONE,
    items: ItemFeatures | None = None,
    codes: NDArray[np.uint8] | None = None,
) -> Trained:
    """Train one encoder on `log`, choosing on `valid` (same vocabulary); checkpoints go into `directory`.

    `init_from` is the checkpoint directory of an earlier training, whose item rows and layers this one starts with.
    items, codes: as `Trainer` takes them. Raises TrainingError and CheckpointError.
    """
    if codes is None and init_from is not None:
        codes = training_codes(log, preset, init_from=init_from)
    more: dict[str, Any] = {"on_progress": on_progress, "team": team, "items": items, "codes": codes}
    trainer = Trainer(log, valid, preset, run=run, directory=directory, **more)
    resumed = resume and trainer.resume()
    if not resumed and init_from is not None:
        start_from(trainer.encoder, log.vocabulary, init_from, log)
    elif not resumed:
        trainer._spent += begin_together(trainer.encoder, log, preset, on_progress, team)
    begins_at = trainer.step, *signs_of(trainer.encoder)
    team.check_alike("the step and the weights they begin with (do they share the checkpoint folder?)", begins_at)
    return trainer.run()
