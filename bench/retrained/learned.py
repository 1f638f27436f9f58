"""What a training reached and cost: weights judged on later and on older clicks, without a graph in between."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from model.config import Preset
from model.data.log import SessionLog
from model.evaluate.judge import Judged, Judgement, judge, paired_difference
from model.evaluate.metrics import CUTOFF, MAIN, SECOND
from model.learn.committee import train_preset
from model.learn.trained import Trained
from model.machine.memory import release_memory
from model.nets.encoder import Encoder
from model.nets.serving import ServingModel

__all__ = ["Exam", "Learned", "learn", "recall_of", "teach"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """The clicks that every training of a shop is judged on."""

    next: SessionLog
    old: SessionLog
    new_items: frozenset[str]  # that occur since the last version for the first time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """One training, judged."""

    next: Judgement
    old: Judgement
    figures: dict[str, Any]
    directory: Path  # its checkpoint

    def above(self, other: Learned, exam: Exam) -> dict[str, list[float]]:
        """Recall@20 less another's: the difference and its interval, on the next clicks and on older ones."""
        found = {}
        for name, mine, theirs in (("next", self.next, other.next), ("old", self.old, other.old)):
            difference, (low, high) = paired_difference(mine, theirs, getattr(exam, name), confidence=0.95)
            found[name] = [round(value, 4) for value in (difference, low, high)]
        return found


def learn(log: SessionLog, preset: Preset, exam: Exam, folder: Path, parent: Path | None = None) -> Learned:
    """Train on a log, from scratch or on top of a checkpoint, and judge. TrainingError and CheckpointError."""
    wall, processor = time.perf_counter(), time.process_time()
    trained = teach(log, preset, folder, parent)
    wall, processor = _costs(folder, time.perf_counter() - wall, time.process_time() - processor)
    one = Judged(
        vocabulary=log.vocabulary,
        popularity=log.popularity(),
        scorer=lambda: _Weights(trained.encoders),
        window=preset.encoder.window,
    )
    following, older = judge(one, exam.next), judge(one, exam.old)
    figures = {
        "recall": round(following.metrics[MAIN], 4),
        "mrr": round(following.metrics[SECOND], 4),
        "old_recall": round(older.metrics[MAIN], 4),
        "new_item_recall": recall_of(following, exam.next, exam.new_items),
        "sessions": log.sessions,
        "steps": preset.train.steps(log.sessions)[1],
        "cpu_s": round(processor, 1),
        "wall_s": round(wall, 1),
    }
    return Learned(next=following, old=older, figures=figures, directory=folder)


def teach(log: SessionLog, preset: Preset, folder: Path, parent: Path | None = None) -> Trained:
    """Train, and leave the checkpoint in the folder."""
    release_memory()
    valid = log.thinned(100)  # a training wants some; nothing is chosen by it
    return train_preset(log, valid, preset, run=folder.name, directory=folder, init_from=parent)


def recall_of(judgement: Judgement, log: SessionLog, items: frozenset[str]) -> float | None:
    """Recall@20 of the predictions whose target is one of these items; None where there is no such."""
    first = np.zeros(log.clicks, bool)
    first[log.offsets[:-1]] = True
    wanted = np.array([False, *(name in items for name in log.vocabulary.items)])  # (I + 1,)
    ranks = judgement.ranks[wanted[log.items[~first]]]  # of judge: by click, the first of a session apart
    return round(float(np.mean((ranks > 0) & (ranks <= CUTOFF))), 4) if len(ranks) else None


def _costs(folder: Path, *spent: float) -> list[float]:
    """Seconds spent on a training, with those of runs that were stopped, or were over before."""
    file = folder / "costs.json"
    before = json.loads(file.read_text()) if file.exists() else [0.0] * len(spent)
    costs = [round(one + other, 1) for one, other in zip(before, spent, strict=True)]
    file.write_text(json.dumps(costs))
    return costs


class _Weights:
    """Encoders as a scorer."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._model = ServingModel(encoders)

    @torch.inference_mode()
    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> tuple[NDArray[Any], NDArray[Any]]:
        ids = np.full((len(sessions), max(map(len, sessions))), PAD, np.int32)  # (B, L)
        for row, session in zip(ids, sessions, strict=True):
            row[: len(session)] = session
        nothing = torch.zeros((len(sessions), 1), dtype=torch.int32)
        top, scores = self._model.lists(torch.from_numpy(ids), nothing, torch.tensor(k))
        return top.numpy(), scores.numpy()
