"""The training loop: repeatable by its seed, resumable at any step, the best epoch on validation kept.

Everything random (order, negatives, dropout) is drawn from generators seeded by (seed, epoch or step) alone. So a state
is weights, optimizer and step, and a resumed training computes, bit for bit, what an uninterrupted one does, given the
same number of threads. It runs on the CPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model import checkpoint
from model.config import Preset
from model.encoder import Encoder
from model.errors import CheckpointError, TrainingError
from model.log import SessionLog
from model.loss import Scratch, sampled_softmax
from model.negatives import draw
from model.packing import pack
from model.progress import OnProgress, Progress, ignore
from model.validation import validate
from model.warm_start import start_from

REPORT_EVERY = 0.5  # seconds between reports inside an epoch
SELECT_BY = "recall@20"  # the validation metric that decides which epoch is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came out."""

    encoder: Encoder  # with the weights of the best validation, in eval mode
    epochs: float  # passes done, a fraction where the time limit ended one
    seconds: float  # of training steps, all resumed parts together
    sessions_per_s: float  # trained sessions a second of them
    valid: Mapping[str, float]  # the best validation
    history: list[dict[str, float]]  # one entry a validation: epoch, loss, metrics


def seed_of(*parts: int) -> int:
    """Return 32 mixed bits of the numbers given (splitmix64), for a generator's seed."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state % 2**32


ORDER, NEGATIVES, DROPOUT, POOL, WEIGHTS = range(5)  # what a seed is for


def use_threads(threads: int) -> int:
    """Give torch `threads` CPU threads, 0: one a core this process may use; return how many."""
    count = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(count)
    return count


def new_encoder(preset: Preset, catalogue: int) -> Encoder:
    """Return an encoder with the weights its seed gives; the global random state is left as it was."""
    seed = preset.train.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, WEIGHTS))
        encoder = Encoder(preset.encoder, catalogue)
    encoder.dropout.seed(seed_of(seed, POOL))
    return encoder


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
    ) -> None:
        """`run` names data and options: a checkpoint of another run is refused. TrainingError for an empty log."""
        if log.sessions == 0:
            raise TrainingError("the training log has no session of at least 2 clicks: nothing can be learned")
        self.log, self.valid, self.preset, self.run_id = log, valid, preset, run
        self.directory, self.on_progress = directory, on_progress
        use_threads(preset.train.threads)
        self.encoder = new_encoder(preset, len(log.vocabulary))
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=preset.train.lr, fused=True)
        self.steps = -(-log.sessions // preset.train.batch)  # an epoch
        self.step, self.seconds, self.loss_sum = 0, 0.0, 0.0
        self.best: dict[str, Any] | None = None
        self.history: list[dict[str, float]] = []
        self._scratch = Scratch()
        self._order: tuple[int, Tensor] | None = None
        self._saved_at = self._reported_at = time.monotonic()

    def run(self) -> Trained:
        """Train to the last epoch or the time limit, and return the best model."""
        began, limit = time.monotonic(), self.preset.train.max_seconds
        last = self.steps * self.preset.train.epochs
        while self.step < last:
            self.train_step()
            if self.step % self.steps == 0:
                self.end_epoch()
            elif time.monotonic() - self._saved_at >= self.preset.train.checkpoint_every:
                self.save()
            if limit is not None and time.monotonic() - began >= limit:
                break
        if self.best is None or self.step % self.steps:  # the time limit ended an epoch
            self.end_epoch()
        return self.result()

    def train_step(self) -> None:
        """Take one batch, update the weights. Raises TrainingError when the loss is not finite."""
        began = time.monotonic()
        epoch, step = divmod(self.step, self.steps)
        if step == 0:
            self.loss_sum = 0.0
        loss = self.batch_loss(self.order(epoch)[step * self.preset.train.batch :][: self.preset.train.batch])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        value = float(loss.detach())
        if value != value or value in (float("inf"), float("-inf")):
            raise TrainingError(f"the loss is {value} at step {self.step}: lower the learning rate")
        self.loss_sum += value
        self.step += 1
        self.seconds += time.monotonic() - began
        if time.monotonic() - self._reported_at >= REPORT_EVERY:
            self.report("train")

    def batch_loss(self, chosen: Tensor) -> Tensor:
        """Return the mean loss of the sessions `chosen` (S,), with this step's negatives and dropout."""
        seed, encoder, config = self.preset.train.seed, self.encoder, self.preset.encoder
        encoder.train()
        encoder.dropout.begin_step(seed_of(seed, DROPOUT, self.step))
        from_end = config.positions == "end"
        batch = pack(self.log, chosen.numpy(), window=config.window, row=self.preset.train.row, from_end=from_end)
        ids, positions, owner, cells, targets, sessions = (torch.from_numpy(part) for part in batch)
        generator = torch.Generator().manual_seed(seed_of(seed, NEGATIVES, self.step))
        negatives = draw(
            targets, sessions, catalogue=len(self.log.vocabulary), config=self.preset.negatives, generator=generator
        )
        hidden = encoder(ids, positions, owner).flatten(0, 1).index_select(0, cells)  # (T, H)
        table, top = encoder.items.weight, self.preset.negatives.top
        return sampled_softmax(hidden, table, targets, sessions, negatives, top=top, scratch=self._scratch)

    def order(self, epoch: int) -> Tensor:
        """Return the sessions (S,) in the order of `epoch`."""
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_of(self.preset.train.seed, ORDER, epoch))
            self._order = epoch, torch.randperm(self.log.sessions, generator=generator)
        return self._order[1]

    def end_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, save."""
        figures = validate(self.encoder, self.valid, row=self.preset.train.row)
        trained = self.step % self.steps or self.steps
        entry = {"epoch": round(self.step / self.steps, 4), "loss": self.loss_sum / trained, **figures}
        self.history.append(entry)
        if self.best is None or figures[SELECT_BY] > self.best["metrics"][SELECT_BY]:
            weights = {name: value.clone() for name, value in self.encoder.state_dict().items()}
            self.best = {"metrics": figures, "weights": weights}
        self.report("validate", figures)
        self.save()

    def report(self, stage: str, figures: Mapping[str, float] | None = None) -> None:
        """Tell `on_progress` where training stands."""
        self._reported_at = time.monotonic()
        epoch, step = divmod(self.step - 1, self.steps)
        self.on_progress(
            Progress(
                stage=stage,
                epoch=epoch + 1,
                epochs=self.preset.train.epochs,
                step=step + 1,
                steps=self.steps,
                loss=self.loss_sum / (step + 1),
                sessions_per_s=self.speed(),
                metrics=figures or {},
            )
        )

    def speed(self) -> float:
        """Return trained sessions a second of training time."""
        epochs, step = divmod(self.step, self.steps)
        return (epochs * self.log.sessions + step * self.preset.train.batch) / max(self.seconds, 1e-9)

    def result(self) -> Trained:
        """Return the best model so far."""
        assert self.best is not None, "run() validates before it ends"
        self.encoder.load_state_dict(self.best["weights"])
        self.encoder.eval()
        epochs = round(self.step / self.steps, 4)
        return Trained(
            encoder=self.encoder,
            epochs=epochs,
            seconds=self.seconds,
            sessions_per_s=self.speed(),
            valid=self.best["metrics"],
            history=self.history,
        )

    def save(self) -> None:
        """Write the checkpoint, if there is a directory for it."""
        self._saved_at = time.monotonic()
        if self.directory is None:
            return
        counters = {"step": self.step, "seconds": self.seconds, "loss_sum": self.loss_sum, "history": self.history}
        checkpoint.save(
            self.directory,
            {
                "run": self.run_id,
                "preset": self.preset.to_dict(),
                "best": self.best,
                "vocabulary": self.log.vocabulary.to_bytes(),
                "weights": self.encoder.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **counters,
            },
        )

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
            self.best, self.history = state["best"], state["history"]
            self.step, self.seconds, self.loss_sum = state["step"], state["seconds"], state["loss_sum"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{self.directory} holds an incomplete checkpoint: {error}") from error
        return True


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
) -> Trained:
    """Train `preset` on `log`, choosing on `valid` (same vocabulary); checkpoints go into `directory`.

    `init_from` is the checkpoint directory of an earlier training, whose item rows and layers this one starts with.
    Raises TrainingError and CheckpointError.
    """
    trainer = Trainer(log, valid, preset, run=run, directory=directory, on_progress=on_progress)
    if not (resume and trainer.resume()) and init_from is not None:
        start_from(trainer.encoder, log.vocabulary, init_from)
    return trainer.run()
