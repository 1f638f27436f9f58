"""A variant is stopped for all workers: the experiment is announced anew, with the reason beside the variant.

What is announced is read again right before, so that nobody's change is undone, and two scoreboards stop a variant
once.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from export.experiments.experiment import Experiment
from stream.experiments.lifecycle import Announced
from stream.messages.announcements import announce_experiment
from stream.scoreboard.guard import Breach
from stream.topic_names import Topics

__all__ = ["Stopper", "stopped"]


@dataclass(frozen=True, slots=True)
class Stopper:
    """Speaks to one cluster."""

    bootstrap_servers: str
    topics: Topics
    extra: Mapping[str, str] | None = None

    def stop(self, breach: Breach) -> Experiment | None:
        """What was announced; None where it was stopped already. BrokerUnavailable, TopicError, PublishFailed."""
        known = Announced(self.bootstrap_servers, self.topics, self.extra).read().get(breach.experiment)
        changed = None if known is None else stopped(known, breach, time.time_ns() // 1_000_000)
        if changed is not None:
            announce_experiment(self.bootstrap_servers, changed, topic=self.topics.models, extra=self.extra)
        return changed


def stopped(experiment: Experiment, breach: Breach, now_ms: int) -> Experiment | None:
    """The experiment without the variant, or stopped whole; None where it is so already."""
    if experiment.state != "running":
        return None
    reason = f"guard rail {breach.rail}: {breach.reason}"
    if not breach.variant:
        return msgspec.structs.replace(experiment, state="stopped", reason=reason, announced_ts=now_ms)
    variants = tuple(
        msgspec.structs.replace(one, stopped=reason) if one.name == breach.variant and not one.stopped else one
        for one in experiment.variants
    )
    if variants == experiment.variants:
        return None
    return msgspec.structs.replace(experiment, variants=variants, announced_ts=now_ms)
