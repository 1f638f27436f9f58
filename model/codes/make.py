"""The codes of a training's items, by the log that it learns from."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.codes.bins import binned, random_codes
from model.codes.bpr import bpr_factors
from model.codes.config import CodesConfig
from model.codes.svd import svd_factors
from model.config import Preset
from model.data.log import SessionLog
from model.learn.distributed import ALONE, Team
from model.learn.seeds import CODES, seed_of
from model.learn.warm.codes import codes_from
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["make_codes", "training_codes"]


def make_codes(log: SessionLog, config: CodesConfig, seed: int, on_progress: OnProgress = ignore) -> NDArray[np.uint8]:
    """Return codes (V + 1, m) uint8 of the items of `log`; the same of the same log and seed."""
    began, seed = time.monotonic(), seed_of(seed, CODES)
    log, items = log.wanted(), len(log.vocabulary)
    if config.made_by == "random":
        codes = random_codes(items, config.splits, config.bits, seed)
    else:
        codes = binned(_factors(log, config, seed), config.bits, seed)
    what = f"{config.splits} codes of {config.bits} bits for each of {items:,} items, by {config.made_by}"
    alike = items - len(np.unique(codes[1:], axis=0)) if items <= _COUNTED else 0
    same = f"; {alike:,} of them have those of another" if alike else ""
    on_progress(Progress(stage="codes", message=f"{what}, in {time.monotonic() - began:.1f} s{same}"))
    return codes


def _factors(log: SessionLog, config: CodesConfig, seed: int) -> NDArray[np.float32]:
    if config.made_by == "bpr":
        return bpr_factors(log, config.splits, seed)
    return svd_factors(log, config.splits, seed, scaled=config.made_by == "svd")


def training_codes(
    log: SessionLog,
    preset: Preset,
    team: Team = ALONE,
    on_progress: OnProgress = ignore,
    *,
    init_from: Path | None = None,
    kept: bool = False,
) -> NDArray[np.uint8] | None:
    """Return the codes that a training begins with, the same in each process; None for a dense preset.

    init_from: the checkpoint of an earlier training, whose codes stay. kept: a checkpoint of this training, which is
    read next, has them, and nothing is made. CheckpointError where the earlier training can't start this one.
    """
    config = preset.codes
    if config is None:
        return None
    if kept:
        return np.zeros((len(log.vocabulary) + 1, config.splits), np.uint8)
    if init_from is not None:
        return codes_from(init_from, log, config, seed_of(preset.train.seed, CODES))
    made: list[object] = [make_codes(log, config, preset.train.seed, on_progress) if team.leads else None]
    team.same_on_all(made)
    (codes,) = made
    assert isinstance(codes, np.ndarray), "process 0 made them"
    return codes


_COUNTED = 1 << 22  # items: to sort more takes longer than it tells
