"""What `auto` trains, by the log and by the time: each rule says what it picked and why.

What a rule is worth on which set stands in docs/training.md (`python -m bench.learning.ablation`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from model.auto.budget import QUICK_S
from model.auto.traits import LogTraits
from model.config import Preset
from model.presets import tron_plus

__all__ = ["Choice", "choose", "for_more"]

SPARSE = 30.0  # clicks an item; of fewer, an encoder knows its sessions by heart before it knows their items
SPARSE_INPUT, SPARSE_INNER = 0.5, 0.2
SMALL_STEPS = 120  # steps of a pass: a log with fewer takes smaller batches
LEAST_BATCH = 64
QUICK_JUDGED = 8_000  # predictions, about, that judge in a short budget
PASSES = 14.0  # of each encoder of a committee, that the time must be enough for


@dataclass(frozen=True, slots=True)
class Choice:
    """A preset, and why it is as it is."""

    preset: Preset
    because: tuple[str, ...] = ()

    def but(self, why: str, given: frozenset[str], **options: object) -> Choice:
        """Return it with these options, those that were given by hand left as they are; unchanged if none is left."""
        left = {name: value for name, value in options.items() if name not in given}
        return Choice(self.preset.override(**left), (*self.because, why)) if left else self


def choose(preset: Preset, traits: LogTraits, *, seconds: float | None, given: frozenset[str] = frozenset()) -> Choice:
    """Return what to train on a log like this. seconds: of the whole command; given: options that stay as they are."""
    choice = Choice(preset, (f"{traits.told()}",))
    if traits.clicks_an_item < SPARSE:
        why = (
            f"dropout of {SPARSE_INPUT:g} on items and {SPARSE_INNER:g} inside, as an item has under {SPARSE:g} clicks"
        )
        choice = choice.but(why, given, input_dropout=SPARSE_INPUT, dropout=SPARSE_INNER)
    steps = traits.sessions / preset.train.batch
    if steps < SMALL_STEPS:
        batch = max(LEAST_BATCH, round(traits.sessions / SMALL_STEPS))
        why = f"batches of {batch} sessions, as a pass has only {round(steps)} of {preset.train.batch}"
        choice = choice.but(why, given, batch=min(batch, preset.train.batch))
    if seconds is not None and seconds < QUICK_S:
        judged = min(preset.train.valid_sessions or traits.sessions, round(QUICK_JUDGED / max(1.0, traits.predictions)))
        why = f"{judged:,} held-out sessions at most judge, in a budget under {QUICK_S / 60:g} min"
        choice = choice.but(why, given, valid_sessions=judged)
    return choice


def for_more(choice: Choice, *, pass_s: float, seconds: float | None) -> Choice:
    """Return the committee of `tron+` with this training, where `seconds` are enough for it; else the choice.

    pass_s: seconds of one pass of the single encoder. An encoder of the committee takes about three times as long.
    """
    committee = tron_plus()
    needed = pass_s * PASSES * 3.0 * (1 + len(committee.committee))
    if seconds is None or seconds < needed or choice.preset.committee:
        return choice
    one = choice.preset.encoder
    shape: dict[str, Any] = {"dropout": one.dropout, "input_dropout": one.input_dropout, "window": one.window}
    preset = replace(
        choice.preset,
        encoder=replace(committee.encoder, **shape),
        committee=tuple(replace(member, **shape) for member in committee.committee),
        negatives=committee.negatives,
        loss=committee.loss,
    )
    why = f"three encoders that rank together, as {seconds:,.0f} s are enough for {PASSES:.0f} passes of each"
    return Choice(preset, (*choice.because, why))
