"""Fresh within minutes: only what is new since the last version is learned, on top of that version's weights.

Learned are the sessions with a click since then, and as many older ones beside them, drawn evenly from the window: what
is not repeated is forgotten. The catalogue is the whole window's; items that the parent does not know begin beside
those they are clicked with (model/learn/warm_start.py). The rate is lower than in a training from scratch, which the
weights have behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from export.checks import require_finite
from export.errors import ConfigError
from model.config import Preset
from model.data.log import SessionLog
from model.data.readers.build import build_log, long_enough
from model.data.readers.raw import RawLog
from model.data.split import Parts
from model.errors import DataError

__all__ = ["FreshConfig", "fresh_log", "fresh_parts", "fresh_preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshConfig:
    """How much is learned, and how fast.

    The defaults give half of what a full training on the new clicks gains, on two shops, for an eighth of its processor
    time, and older sessions lose nothing. On one of the two they do without older ones (-.010 Recall@20), and at the
    whole rate (-.008), and neither gains anything on the other. Four passes gain .001 and .004 on the next clicks for
    twice the time (python -m bench.freshness, docs/trainer.md).
    """

    replay: float = 2.0  # older sessions for each new one
    least: int = 2_000  # sessions, older ones making up what new ones lack: a few hundred alone pull a model astray
    epochs: float = 2.0  # passes over both
    rate: float = 0.5  # of the preset's learning rate
    held_out: float = 0.2  # share of the new sessions, the newest, that judge before they are learned

    def __post_init__(self) -> None:
        require_finite(self)
        if self.replay < 0 or self.least < 0 or self.epochs <= 0 or not 0 < self.rate <= 1 or not 0 < self.held_out < 1:
            raise ConfigError(
                "fresh: replay and least must not be negative, epochs above 0, the rate in (0, 1], the share held out "
                "between 0 and 1"
            )


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
    usable = raw.select(long_enough(raw, np.arange(raw.clicks), 2))
    last = np.full(len(raw.session_ids), -1, np.int64)  # (S,) time of the last click, -1: no line of that session
    np.maximum.at(last, usable.sessions, usable.ts)
    new = np.flatnonzero(last >= since_ts)
    held = max(1, round(config.held_out * len(new)))
    if len(new) <= held:
        raise DataError(f"{len(new)} sessions have two clicks or more since the last version: too few to learn from")
    is_held = np.zeros(len(last), bool)
    is_held[new[np.argsort(last[new], kind="stable")][len(new) - held :]] = True
    rows = is_held[usable.sessions]
    newest = usable.select(rows)
    log = build_log(usable.select(~rows), min_support=min_support)
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
