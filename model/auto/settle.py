"""From a request to what is trained: the rules of `auto`, and how the time or the steps of a budget are shared out.

What is published is the refit, which begins from the start on all sessions, so it gets the larger part: the judged
training, which chooses and measures, gets a third. Where held-out sessions ended that one, the refit is as long; where
the budget did, it goes on for as long as the budget lets it. On seven logs that has better lists than two equal parts,
and than a judged training of two thirds whose decay is done again on all sessions (docs/training.md).
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
from model.reports.summary import UNTRAINED

__all__ = ["AUTO", "Request", "bounded", "judged_share", "limited", "settled", "timed", "untrained"]

AUTO = "auto"
OWN = frozenset({"hidden", "layers", "feed_forward", "positions", "popular", "alpha", "top"})  # by hand: no `tron+`
JUDGED = 1 / 3  # share of the judged training, where a refit follows
LEAST = 0.5  # of the judged training's time: a refit cut shorter loses more than the newest sessions give


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
    share = judged_share(request.refit)
    seconds = whole * max(share, 1 - share)  # of the weights that are published
    return for_longer(choice, traits, pass_s=pass_s, seconds=seconds, given=request.given)


def judged_share(refit: RefitConfig | None) -> float:
    """Return the share of the training's time that the judged weights get; a refit has the rest."""
    return 1.0 if refit is None else JUDGED


def bounded(refit: RefitConfig | None, preset: Preset) -> RefitConfig | None:
    """Return the refit with the limits that were asked of a training by hand; a budget gives it no more than these."""
    limit_s, steps = preset.train.max_seconds, preset.train.max_steps
    return None if refit is None else replace(refit, max_seconds=limit_s, max_steps=steps)


def limited(preset: Preset, spending: Spending, refit: RefitConfig | None, on_progress: OnProgress = ignore) -> Preset:
    """Return the preset with the time, or the steps, that its training gets from now on; a shorter limit stays."""
    budget, share = spending.budget, judged_share(refit)
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
    told = f"warning: {UNTRAINED}"
    if plan is None or spending.seconds is None:
        return f"{told}; give it more time"
    pass_s = sum(one.step_s for one in plan.members) * sessions / preset.train.batch
    enough = spending.spent() + spending.kept(bundles=2) + pass_s / JUDGED  # with the refit
    return f"{told}; a pass takes about {in_words(pass_s)} more: --budget {math.ceil(enough / 60)}m has room for it"


def timed(
    config: RefitConfig,
    preset: Preset,
    trained: Trained,
    spending: Spending,
    *,
    more: float,
    given: frozenset[str] = frozenset(),
) -> tuple[RefitConfig | None, str]:
    """Return how the refit is done in what is left, and why; None: there is no time for any.

    more: how many times as many sessions it learns. given: options that stay as they are.
    """
    again, left = _about(trained.seconds * more), spending.for_training(bundles=1)
    steps = None if spending.budget is None else spending.budget.steps
    if steps is not None:
        rest = max(1, steps // len(preset.members()) - (preset.train.max_steps or 0))
        rest = min(rest, config.max_steps or rest)
        times = rest / (preset.train.max_steps or rest)
        told = f"from the start again, {rest:,} steps" if trained.limited else f"the same again, {again}"
        return replace(config, max_steps=rest, newest_sessions=_newest(preset, times, given)), told
    if left is None:
        return config, f"the same again, {again}"
    if left < LEAST * trained.seconds * more:
        return None, f"it would take {again}, and {left:,.0f} s of the budget are left for it: give a longer --budget"
    left = min(left, config.max_seconds or left)
    times = left / max(trained.seconds, 1e-9)
    config = replace(config, max_seconds=left, newest_sessions=_newest(preset, times, given))
    if trained.limited:
        return config, f"from the start again, in the {left:,.0f} s that are left"
    return config, f"the same again, {again}, and {left:,.0f} s are left"


def _newest(preset: Preset, times: float, given: frozenset[str]) -> int | None:
    """Return of how many sessions a refit so many times as long draws; None: of as many as the judged training."""
    newest = preset.train.newest_sessions
    return max(newest, round(newest * times)) if newest and "newest_sessions" not in given else None


def _about(seconds: float) -> str:
    return f"about {seconds:,.0f} s"
