"""A model beside its baselines, in words: in every validation, and at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from model.evaluate.metrics import MAIN, SECOND, label
from model.reports.progress import OnProgress, Progress

__all__ = ["Beside", "beside", "best_of", "verdict"]

Figures = Mapping[str, float]
LEVEL = 0.0005  # below a baseline by less: neither better nor poorer


class Beside:
    """An OnProgress that passes every report on; validations say how the model stands beside the best baseline."""

    def __init__(self, on_progress: OnProgress, baselines: Mapping[str, Figures]) -> None:
        self._on_progress, self._baselines = on_progress, baselines

    def __call__(self, report: Progress) -> None:
        """Pass `report` on."""
        if report.stage == "validate" and (words := beside(report.metrics, self._baselines)):
            report = replace(report, message=f"{report.message}; {words}" if report.message else words)
        self._on_progress(report)


def best_of(baselines: Mapping[str, Figures], metric: str) -> str | None:
    """Return the name of the best baseline by a metric; None where none has it."""
    return max(
        (name for name in baselines if metric in baselines[name]), key=lambda n: baselines[n][metric], default=None
    )


def beside(figures: Figures, baselines: Mapping[str, Figures]) -> str:
    """Return `Recall@20 +.0123 on vmis-knn, MRR@20 -.0011 on items-after`; empty where nothing can be compared."""
    parts = []
    for metric in (MAIN, SECOND):
        if (best := best_of(baselines, metric)) is not None and metric in figures:
            parts.append(f"{label(metric)} {figures[metric] - baselines[best][metric]:+.4f} beside {best}")
    return ", ".join(parts)


def verdict(figures: Figures, baselines: Mapping[str, Figures], left_out: Mapping[str, str] | None = None) -> str:
    """Return in words whether a model beat its baselines in Recall@20 and MRR@20, by how much, and which; empty without
    any. left_out: baselines that were not asked, and why."""
    if not baselines:
        return ""
    order = sorted(baselines, key=lambda name: (-baselines[name].get(MAIN, 0.0), name))  # the best first
    lost = {name: said for name in order if (said := _behind(figures, baselines[name], LEVEL))}
    level = {name: said for name in order if name not in lost and (said := _behind(figures, baselines[name], 0.0))}
    beaten = [name for name in order if name not in lost and name not in level]
    unasked = f" (not asked: {', '.join(left_out)})" if left_out else ""
    beats = f"; it beats {', '.join(beaten)}" if beaten else ""
    if lost:
        on_a_level = f"; it is level with {_listed(level)}" if level else ""
        return (
            f"the model's lists are poorer than those of {' and '.join(lost)} ({_listed(lost)}){on_a_level}{beats}"
            f"{unasked}: train longer, or on more clicks, or with another preset"
        )
    if level:
        return f"the model is level with {_listed(level)}{beats}{unasked}"
    parts = []
    for metric in (MAIN, SECOND):
        best = best_of(baselines, metric)
        if best is not None and metric in figures:
            parts.append(f"{_against(figures, baselines[best], metric)} of the best, {best}")
    return f"the model beats every baseline{unasked}: {'; '.join(parts)}"


def _behind(figures: Figures, of: Figures, by: float) -> list[str]:
    """What is below a baseline by more than `by`."""
    both = [metric for metric in (MAIN, SECOND) if metric in figures and metric in of]
    return [_against(figures, of, metric) for metric in both if of[metric] - figures[metric] > by]


def _listed(found: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{name}: {', '.join(parts)}" for name, parts in found.items())


def _against(figures: Figures, of: Figures, metric: str) -> str:
    own, other = figures[metric], of[metric]
    share = f", {own / other - 1:+.1%}" if other > 0 else ""
    return f"{label(metric)} {own:.4f} against {other:.4f}{share}"
