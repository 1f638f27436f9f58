"""From a request to what is trained: the rules of `auto`, and how the time or the steps of a budget are shared out.

What is published is the refit, which begins from the start on all sessions, so it gets the larger part: the judged
training, which chooses and measures, gets a third. Where held-out sessions ended that one, the refit is as long; where
the budget did, it goes on for as long as the budget lets it. On four logs that has more Recall@20 than two equal parts,
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
JUDGED = 1 / 3  # share of the judged training, where a refit follows that may be longer
CHOSEN = 0.47  # and where that is as long as the epoch that was chosen, on a little more
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
    share = judged_share(choice.preset, request.refit)
    seconds = whole * max(share, 1 - share)  # of the weights that are published
    return for_longer(choice, traits, pass_s=pass_s, seconds=seconds, given=request.given)


def judged_share(preset: Preset, refit: RefitConfig | None) -> float:
    """Return the share of the training's time that the judged weights get; a refit has the rest."""
    if refit is None:
        return 1.0
    return CHOSEN if preset.train.validate_epochs else JUDGED


def bounded(refit: RefitConfig | None, preset: Preset) -> RefitConfig | None:
    """Return the refit with the limits that were asked of a training by hand; a budget gives it no more than these."""
    if refit is None:
        return None
    limit_s, steps = (
        _least(getattr(refit, name), getattr(preset.train, name)) for name in ("max_seconds", "max_steps")
    )
    return replace(refit, max_seconds=limit_s, max_steps=None if steps is None else round(steps))


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
    rest = whole * (1 - share) if refit is None else min(whole * (1 - share), refit.max_seconds or float("inf"))
    after = "" if refit is None else f", {rest:,.0f} s for the refit"
    told = f"of {spending.seconds:,.0f} s {spending.spent():,.0f} s are over; {seconds:,.0f} s to train at most{after}"
    kept = f"{spending.kept(bundles):,.0f} s kept to export and to judge"
    on_progress(Progress(stage="budget", message=f"{told}, {kept}"))
    return replace(preset, train=replace(preset.train, max_seconds=seconds))


def untrained(
    spending: Spending, plan: Outlook | None, preset: Preset, refit: RefitConfig | None, sessions: int
) -> str:
    """Return what to say where the time was up before the first step. plan: by which a pass over the sessions takes
    about so long; None: no step was timed."""
    told = f"warning: {UNTRAINED}"
    if plan is None or spending.seconds is None:
        return f"{told}; give it more time"
    pass_s = sum(one.step_s for one in plan.members) * sessions / preset.train.batch
    kept_s = spending.kept(bundles=1 + (refit is not None))
    enough = spending.spent() + kept_s + pass_s / judged_share(preset, refit)
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

    preset: as the judged training was limited. more: how many times as many sessions the refit learns. given: options
    that stay as they are.
    """
    longer = trained.limited and not preset.train.validate_epochs
    again_s, judged = trained.spent * more, preset.train.max_steps
    again = f"the same again, about {again_s:,.0f} s"
    if spending.budget is not None and spending.budget.steps is not None:
        rest = max(1, spending.budget.steps // len(preset.members()) - (judged or 0))
        steps = min(rest, config.max_steps or rest)
        newest = _newest(preset, steps / (judged or steps), given)
        told = f"from the start again, {steps:,} steps at most" if longer else again
        return replace(config, max_steps=steps, newest_sessions=newest), told
    left = spending.for_training(bundles=1)
    if left is None:
        return config, again
    if spending.over(bundles=1) or left < LEAST * again_s:
        why = f"it would take about {again_s:,.0f} s, and {left:,.0f} s of the budget are left for it"
        return None, f"{why}: give a longer --budget"
    left = min(left, config.max_seconds or left)
    times = left / max(trained.spent, 1e-9)
    times = min(times, config.max_steps / judged) if config.max_steps and judged else times
    config = replace(config, max_seconds=left, newest_sessions=_newest(preset, times, given))
    return config, f"from the start again, for {left:,.0f} s at most" if longer else again


def _newest(preset: Preset, times: float, given: frozenset[str]) -> int | None:
    """Return of how many sessions a refit so many times as long draws; None: of as many as the judged training."""
    newest = preset.train.newest_sessions
    return max(newest, round(newest * times)) if newest and "newest_sessions" not in given else None


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
