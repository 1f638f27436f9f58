"""Which sessions a training learns whose budget is too short for all of them: the newest.

A training of a fraction of a pass draws some sessions and never sees the others. What shoppers did last says most of
what they do next, so these are drawn of the newest ones. All the same the catalogue, its popularity, the first vectors
and what counts know are of the whole log.
"""

from __future__ import annotations

from dataclasses import replace

from model.auto.settle import AUTO
from model.config import Preset
from model.data.log import SessionLog
from model.reports.outlook import Outlook
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["of_the_newest"]

ROOM = 1.5  # times as many sessions as the judged training can learn; its refit draws of more, as it is longer


def of_the_newest(
    preset: Preset, log: SessionLog, plan: Outlook | None, given: frozenset[str], on_progress: OnProgress = ignore
) -> Preset:
    """Return the preset, limited to its budget before, as it learns `log`; unchanged where there is time for all.

    plan: by which a limit in seconds is told in steps. given: options that stay as they are.
    """
    train, members = preset.train, len(preset.members())
    if preset.name != AUTO or "newest_sessions" in given:
        return preset
    steps = train.steps(log.sessions)[1]
    if train.max_seconds is not None and plan is not None:
        step_s = max(member.step_s for member in plan.members)
        steps = min(steps, round(train.max_seconds / members / max(step_s, 1e-6)))
    passes = steps * train.batch / log.sessions
    newest = max(train.batch, round(ROOM * passes * log.sessions))
    if newest >= log.sessions:
        return preset
    what = f"the newest {newest:,} of {log.sessions:,} sessions, as the budget is enough for {passes:.0%} of them"
    on_progress(Progress(stage=AUTO, message=what))
    return replace(preset, train=replace(train, newest_sessions=newest))
