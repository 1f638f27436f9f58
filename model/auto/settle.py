"""From a request to what is trained: the rules of `auto`, and how the time or the steps of a budget are shared out.

A refit with the time of the whole training from scratch would halve what a short budget learns. A training whose rate
was stable needs less: from the state before its decay, the decay again on all sessions. It is taken where the time is
short, and the whole training again where that fits, or where there is no limit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

from model.auto.budget import QUICK_S, Budget, Spending
from model.auto.rules import Choice, choose, for_longer
from model.auto.traits import LogTraits, traits_of
from model.config import Preset
from model.cycle.config import RefitConfig
from model.data.log import SessionLog
from model.learn.trained import Trained
from model.reports.outlook import Outlook, in_words, outlook
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["AUTO", "Request", "judged_share", "limited", "settled", "timed", "untrained"]

AUTO = "auto"
OWN = frozenset({"hidden", "layers", "feed_forward", "positions", "popular", "alpha", "top"})  # by hand: no `tron+`
SAME_AGAIN = 0.47  # share of the judged training, where the refit is the same on a little more
SAFE = 1.1  # a whole training must fit into the time that is left by so much
LEAST = 0.5  # of the decay's time: one that is cut shorter loses more than the newest sessions give


class Request(Protocol):
    """What is asked of a training."""

    @property
    def preset(self) -> Preset: ...
    @property
    def refit(self) -> RefitConfig | None: ...
    @property
    def budget(self) -> Budget | None: ...
    @property
    def given(self) -> frozenset[str]: ...


def settled(
    request: Request, log: SessionLog, valid: SessionLog, spending: Spending, on_progress: OnProgress = ignore
) -> Preset:
    """Return the preset that is trained on `log`: `auto`'s by its rules, which are told, another as it is."""
    preset = request.preset
    if preset.name != AUTO:
        return preset
    traits = traits_of(log)
    choice = choose(preset, traits, seconds=spending.seconds, given=request.given)
    if spending.seconds is not None and spending.seconds >= QUICK_S and not OWN & request.given:
        choice = _for_longer(choice, traits, log, valid, spending, request)
    for why in choice.because:
        on_progress(Progress(stage=AUTO, message=why))
    return choice.preset


def _for_longer(
    choice: Choice, traits: LogTraits, log: SessionLog, valid: SessionLog, spending: Spending, request: Request
) -> Choice:
    plan, whole = outlook(log, valid, choice.preset), spending.for_training(bundles=1 + (request.refit is not None))
    assert whole is not None, "a budget in seconds"
    pass_s = 0.0 if plan is None else plan.members[0].step_s * choice.preset.train.steps(log.sessions)[0]
    seconds = whole * judged_share(choice.preset, request.refit)
    return for_longer(choice, traits, pass_s=pass_s, seconds=seconds, given=request.given)


def judged_share(preset: Preset, refit: RefitConfig | None) -> float:
    """Return the share of the training's time that the judged weights get; a refit has the rest."""
    if refit is None:
        return 1.0
    if preset.train.schedule != "stable":
        return SAME_AGAIN
    judged = 1.0 + preset.train.decay  # of the stable steps
    return judged / (judged + refit.decay)


def limited(preset: Preset, spending: Spending, refit: RefitConfig | None, on_progress: OnProgress = ignore) -> Preset:
    """Return the preset with the time, or the steps, that its training gets from now on; a shorter limit stays."""
    budget, share = spending.budget, judged_share(preset, refit)
    if budget is None:
        return preset
    if budget.steps is not None:
        steps = max(1, round(budget.steps * share / len(preset.members())))
        most = steps if preset.train.max_steps is None else min(steps, preset.train.max_steps)
        return replace(preset, train=replace(preset.train, max_steps=most))
    bundles = 1 + (refit is not None)
    whole = spending.for_training(bundles=bundles)
    assert whole is not None, "a budget without steps has seconds"
    seconds = min(whole * share, preset.train.max_seconds or float("inf"))
    after = "" if refit is None else f", {whole * (1 - share):,.0f} s for the refit"
    told = f"of {spending.seconds:,.0f} s {spending.spent():,.0f} s are over; {seconds:,.0f} s to train at most{after}"
    kept = f"{spending.kept(bundles):,.0f} s kept to export and to judge"
    on_progress(Progress(stage="budget", message=f"{told}, {kept}"))
    return replace(preset, train=replace(preset.train, max_seconds=seconds))


def untrained(spending: Spending, plan: Outlook | None, preset: Preset, sessions: int) -> str:
    """Return what to say where the time was up before the first step. plan: by which a pass over the sessions takes
    about so long; None: no step was timed."""
    told = "warning: no step was trained, as the time was up: lists are of first vectors and of what counts know"
    if plan is None or spending.seconds is None:
        return f"{told}; give it more time"
    pass_s = sum(one.step_s for one in plan.members) * sessions / preset.train.batch
    enough = spending.spent() + spending.kept(bundles=2) + 2 * pass_s  # and a refit, which is shorter
    return f"{told}; a pass takes about {in_words(pass_s)} more: --budget {math.ceil(enough / 60)}m has room for it"


def timed(
    config: RefitConfig, preset: Preset, trained: Trained, spending: Spending, *, more: float
) -> tuple[RefitConfig | None, str]:
    """Return how the refit is done in the time that is left, and why; None: there is no time for any.

    more: how many times as many sessions it learns.
    """
    left, stable = spending.for_training(bundles=1), preset.train.schedule == "stable"
    whole_s = trained.seconds * more
    if spending.budget is not None and spending.budget.steps is not None and stable:
        return replace(config, how="decay"), "the decay again, as the budget is in steps"
    if left is None or whole_s * SAFE <= left:
        return replace(config, max_seconds=left), f"the same again, {_about(whole_s)}"
    decay_s = whole_s * config.decay / (1.0 + preset.train.decay)
    if stable and left >= LEAST * decay_s:
        told = f"the decay again, in {min(left, decay_s):,.0f} s, as all of it would take {_about(whole_s)}"
        return replace(config, how="decay", max_seconds=left), told
    why = f"it would take {_about(decay_s if stable else whole_s)}, and {left:,.0f} s of the budget are left for it"
    other = "" if stable else f", or a preset whose rate is stable (--preset {AUTO})"
    return None, f"{why}: give a longer --budget{other}"


def _about(seconds: float) -> str:
    return f"about {seconds:,.0f} s"
