"""Fresh within minutes: only what is new since the last version is learned, on top of that version's weights.

Learned are the sessions with a click since then, and as many older ones beside them, drawn evenly from the window: what
is not repeated is forgotten. The catalogue is the whole window's; items that the parent does not know begin beside
those they are clicked with (model/learn/warm/start.py). The rate is lower than in a training from scratch, which the
weights have behind them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from model.config import Preset
from model.cycle.config import FreshConfig
from model.data.log import SessionLog
from model.data.readers.build import build_log, usable
from model.data.readers.raw import RawLog
from model.data.split import Parts
from model.errors import DataError

__all__ = ["fresh_log", "fresh_parts", "fresh_preset"]


def fresh_preset(preset: Preset, config: FreshConfig) -> Preset:
    """The preset of a fresh training."""
    train = replace(
        preset.train,
        epochs=config.epochs,
        reference=0,
        min_epochs=0.0,
        min_steps=0,
        lr=preset.train.lr * config.rate,
        validate_epochs=False,
    )
    return replace(preset, train=train)


def fresh_parts(raw: RawLog, since_ts: int, config: FreshConfig, *, min_support: int = 1) -> Parts:
    """Hold the newest of the new sessions out; all older ones are in `log`. DataError where too few are new."""
    long = usable(raw)
    last = np.full(len(raw.session_ids), -1, np.int64)  # (S,) time of the last click, -1: no line of that session
    np.maximum.at(last, long.sessions, long.ts)
    new = np.flatnonzero(last >= since_ts)
    held = max(1, round(config.held_out * len(new)))
    if len(new) <= held:
        raise DataError(f"{len(new)} sessions have two clicks or more since the last version: too few to learn from")
    is_held = np.zeros(len(last), bool)
    is_held[new[np.argsort(last[new], kind="stable")][len(new) - held :]] = True
    rows = is_held[long.sessions]
    newest = long.select(rows)
    log = build_log(long.select(~rows), min_support=min_support)
    return Parts(log, build_log(newest, log.vocabulary), newest)


def fresh_log(log: SessionLog, since_ts: int, config: FreshConfig, *, seed: int = 0) -> SessionLog:
    """The sessions to be learned, in the order of their time, with the catalogue of `log`.

    since_ts: ms since the epoch. DataError where no session has a click since then.
    """
    new = log.ts[log.offsets[1:] - 1] >= since_ts  # (S,) the last click of a session is its newest
    fresh = int(np.count_nonzero(new))
    if not fresh:
        raise DataError("no session has a click since the last version: there is nothing new to learn")
    old = np.flatnonzero(~new)
    wanted = min(len(old), max(round(config.replay * fresh), config.least - fresh))
    drawn = np.random.default_rng([seed, since_ts]).choice(old, wanted, replace=False) if wanted > 0 else old[:0]
    new[drawn] = True
    return log.select(new)
