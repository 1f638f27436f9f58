"""Which variant and which model a session's lists must be of, while an experiment runs, or none does."""

from __future__ import annotations

from collections.abc import Sequence

from bench.rig.oracle import assert_drafted, assert_same_order
from export.experiments.experiment import INTERLEAVED, Experiment
from stream.messages.contract import Recommendation

__all__ = ["Expected"]


class Expected:
    """`experiment`: one that runs all the time, with versions that can always be served."""

    def __init__(self, experiment: Experiment | None) -> None:
        self._experiment = experiment

    def model(self, name: str) -> str:
        """The model of a session; empty where it is the live one."""
        return self._labels(name)[2]

    def finding(self, found: Recommendation) -> str | None:
        """What is wrong with what a list says it is of."""
        experiment, variant, model = self._labels(found.session_id)
        if (found.experiment, found.variant) == (experiment, variant) and model in ("", found.model):
            return None
        got = f"{found.experiment or '-'}/{found.variant} by model {found.model!r}"
        return f"a list of it is {got}, not {experiment or '-'}/{variant} by {model or 'what is live'}"

    def assert_items(self, found: Recommendation, lists: Sequence[Sequence[tuple[str, float]]]) -> None:
        """The items are those of the list, or drafted from the two."""
        if len(lists) == 1:
            assert_same_order([(item.item_id, item.score) for item in found.items], list(lists[0]))
            assert found.teams == [], "teams of a list that is one model's"
            return
        assert self._experiment is not None, "a list of two models, and nothing to compare"
        names = [variant.name for variant in self._experiment.variants]
        assert_drafted(found, dict(zip(names, lists, strict=True)))

    def _labels(self, name: str) -> tuple[str, str, str]:
        """Experiment, variant and model."""
        experiment = self._experiment
        chosen = experiment.variant_of(name) if experiment is not None else None
        if experiment is None or chosen is None:
            return "", "default", ""
        if experiment.interleave:
            return experiment.experiment, INTERLEAVED, "+".join(one.version for one in experiment.variants)
        return experiment.experiment, chosen.name, chosen.version
