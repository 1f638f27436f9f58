"""Training on a terminal: a progress bar where there is one, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from model.reports.outlook import in_words
from model.reports.progress import OnProgress
from model.reports.progress import Progress as Report

__all__ = ["show_progress"]

SHOWN = ("recall", "mrr", "ndcg", "coverage")  # measures, at any cut-off
LINE_EVERY_S = 2.0  # between two lines of the same stage without a terminal


@contextmanager
def show_progress(console: Console) -> Iterator[OnProgress]:
    """Give the callback that training reports to; what it shows ends with the block."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar)


class _Bar:
    """One bar an encoder; results of a stage are printed above it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._member = ""

    def __call__(self, report: Report) -> None:
        if report.stage == "train" and report.steps:
            if self._task is None or report.member != self._member:
                self._member = report.member
                self._task = self._bar.add_task("train", total=1.0, figures="")
            self._bar.update(self._task, description=_where(report), completed=report.done, figures=_figures(report))
        elif text := _text(report):
            self._bar.console.print(text, markup=False, emoji=False, highlight=False)


class _Lines:
    """`train 37% epoch 1/3 loss 4.2100 812 sessions/s 3 min left`, one every two seconds while a stage lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def __call__(self, report: Report) -> None:
        if report.stage == "train" and report.steps:
            if time.monotonic() < self._next and report.step < report.steps:
                return
            self._next = time.monotonic() + LINE_EVERY_S
            text = f"train {report.done:.0%} {_where(report)} {_figures(report)}"
        else:
            text = _text(report)
        if text:
            self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _where(report: Report) -> str:
    epoch = f"epoch {report.epoch}/{report.epochs}"
    return f"encoder {report.member} {epoch}" if report.member else epoch


def _figures(report: Report) -> str:
    left = "" if report.remaining_s is None else f"  {in_words(report.remaining_s)} left"
    return f"loss {report.loss:.4f}  {report.sessions_per_s:,.0f} sessions/s{left}"


def _text(report: Report) -> str:
    where = _where(report) if report.stage == "validate" and report.steps else ""
    figures = _metrics(report.metrics)
    parts = (where, figures, report.message) if report.stage == "validate" else (report.message, figures)
    return "  ".join(part for part in (report.stage, *parts) if part)


def _metrics(metrics: Mapping[str, float]) -> str:
    """What is found; what lists are like besides (`model/evaluate/lists.py`) stands in the model's card."""
    shown = (name for name in metrics if name.partition("@")[0] in SHOWN and "@" in name)
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in shown)
