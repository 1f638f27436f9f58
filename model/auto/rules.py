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

__all__ = ["Choice", "choose", "for_longer"]

SPARSE = 30.0  # clicks an item; of fewer, an encoder knows its sessions by heart before it knows their items
SPARSE_INPUT, SPARSE_INNER = 0.5, 0.2
SMALL_STEPS = 120  # steps of a pass: a log with fewer takes smaller batches
LEAST_BATCH = 64
QUICK_JUDGED = 8_000  # predictions, about, that judge in a short budget
PASSES = 4.0  # of an encoder that learns slowly, that the time must be enough for
SLOWER = 3.0  # times: a step of `tron+` beside one of `tron-fast`
LEAST_DROPPED = 0.3  # of the items' entries in such a training
LONG: dict[str, Any] = {"look_sessions": 10_000, "look_gain": 0.001, "patience": 4}  # evidence, where there is time


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


def for_longer(choice: Choice, traits: LogTraits, *, pass_s: float, seconds: float, given: frozenset[str]) -> Choice:
    """Return how `tron+` learns where `seconds` are enough for it, by three encoders or by one; else the choice.

    Transformers alone where items have few clicks: its GRU learns little of those, and takes the others' lists down
    with it.
    pass_s: seconds of one pass of the single encoder as it is.
    """
    best, one = tron_plus(), choice.preset.encoder
    alone_s = pass_s * SLOWER * PASSES
    if seconds < alone_s or choice.preset.committee:
        return choice
    dropped = one.input_dropout if "input_dropout" in given else max(one.input_dropout or 0.0, LEAST_DROPPED)
    members = [
        replace(member.encoder, dropout=one.dropout, input_dropout=dropped, window=one.window)
        for member in best.members()
    ]
    sparse = traits.clicks_an_item < SPARSE
    if sparse:
        attending = [member for member in members if member.kind == "transformer"]
        members = [*attending, attending[0]]  # each member has a seed of its own
    train = replace(choice.preset.train, **{name: value for name, value in LONG.items() if name not in given})
    preset = replace(choice.preset, encoder=members[0], negatives=best.negatives, loss=best.loss, train=train)
    enough = f"as {seconds:,.0f} s are enough for {PASSES:.0f} passes"
    if seconds < alone_s * len(members):
        why = f"`tron+`'s negatives, the best {best.negatives.top} of a large draw, {enough}"
        return Choice(preset, (*choice.because, why))
    kinds = "Transformers" if sparse else "encoders"
    why = f"three {kinds} that rank together, each with `tron+`'s negatives, {enough} of each"
    return Choice(replace(preset, committee=tuple(members[1:])), (*choice.because, why))
