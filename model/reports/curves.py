"""Learning curves: what a training reports, kept as JSON lines, and the plot of it.

`metrics.jsonl` lies beside the checkpoint, one object a line, written at once (`tail -F` follows it):

    {"stage": "train", "epoch": 1, "step": 40, "loss": 4.2, "sessions_per_s": 812.0, "seconds": 6.3, "ts": 17000…}
    {"stage": "validate", … as above …, "recall@20": 0.7, "mrr@20": 0.37, …}

`epoch` counts from 1 and `step` over all epochs, `loss` is the mean since the line before (of the epoch in a
validation), `seconds` is wall time since the training began (without the pause where it was resumed), `ts` is the
time of the report in ms since the epoch. Lines about one encoder of a committee have its `member`, such as 2/3, and
count its own steps.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import CheckpointError
from model.evaluate.metrics import MAIN, SECOND, label
from model.learn import checkpoint
from model.learn.committee import MEMBER
from model.reports.progress import OnProgress, Progress, ignore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Curves",
    "by_member",
    "draw",
    "draw_loss",
    "draw_validation",
    "entry_of",
    "line_of",
    "number_of",
    "read_entries",
    "resumed_steps",
]

METRICS_FILE = "metrics.jsonl"
PLOT_FILE = "training"  # and the name of the format
PLOTTED = {name: label(name) for name in (MAIN, SECOND)}  # metrics of the lower panel
DRAW_EVERY = 5.0  # seconds between two drawings of the plot
MAX_POINTS = 2_000  # of the loss in a plot: more would not be seen
REQUIRED: dict[str, type | tuple[type, ...]] = {  # of a line; others are not read
    "stage": str,
    "step": int,
    "seconds": (int, float),
}

Entry = dict[str, Any]  # one line of the metrics file


class Curves:
    """An OnProgress that passes every report on, and keeps those of steps and validations in `directory`.

    No fault of a file or of the plot ends a training: it is reported once, as a message, and the training goes on.
    """

    def __init__(
        self,
        directory: Path,
        on_progress: OnProgress = ignore,
        *,
        baselines: Mapping[str, Mapping[str, float]] | None = None,
        resume: bool = True,
        formats: Sequence[str] = ("svg",),
    ) -> None:
        """Take the checkpoint directory of a training that is about to begin, or with `resume` to go on.

        `baselines` are metrics by name, whose recall is drawn beside the model's; `formats` are svg or png.
        """
        self.metrics_file = directory / METRICS_FILE
        self._plots = tuple(directory / f"{PLOT_FILE}.{name}" for name in formats)
        self._on_progress, self._baselines = on_progress, baselines or {}
        self._resumed_from = resumed_steps(directory) if resume else {}
        self._began, self._step = time.monotonic(), 0
        self._opened = self._drawn = False
        self._next_drawing = -math.inf
        self._complained: set[str] = set()

    @property
    def plot(self) -> Path | None:
        """Where the plot of the first format lies; None if there is none."""
        return next((path for path in self._plots if path.is_file()), None)

    def __call__(self, report: Progress) -> None:
        """Pass `report` on and keep it; a validation draws the plot anew, unless it was drawn a moment ago."""
        self._on_progress(report)
        if report.stage == "validate" or (report.stage == "train" and report.steps):
            self._append(report)
        if report.stage == "validate":
            self._drawn = False
            if time.monotonic() >= self._next_drawing:
                self.draw()
                self._next_drawing = time.monotonic() + DRAW_EVERY

    def draw(self) -> None:
        """Write the plot of what the metrics file holds, if it holds anything."""
        try:
            entries = read_entries(self.metrics_file)
            for path in self._plots if entries else ():
                draw(entries, path, self._baselines)
            self._drawn = True
        except Exception as error:  # a drawing library can fail in many ways; none is worth a training
            self._complain("the plot of the training", error)

    def finish(self) -> None:
        """Draw the plot, unless it shows the last validation: a training that was finished already has none."""
        if not self._drawn:
            self.draw()

    def _append(self, report: Progress) -> None:
        try:
            if not self._opened:
                self._open()
            if report.steps:  # a committee's validation as a whole has none, and stands where the last member ended
                self._step = (report.epoch - 1) * report.steps + report.step
            entry = {**entry_of(report, self._step), "seconds": round(time.monotonic() - self._began, 3)}
            with self.metrics_file.open("ab", buffering=0) as file:
                file.write(line_of(entry))
        except OSError as error:
            self._complain("the metrics of the training", error)

    def _open(self) -> None:
        """Make room for the first line: drop the lines that this training writes again, and go on with their clock.

        Only now, since a training that could not be resumed must leave the file as it was.
        """
        self.metrics_file.parent.mkdir(parents=True, exist_ok=True)
        entries = read_entries(self.metrics_file)
        kept = [entry for entry in entries if entry["step"] <= self._resumed_from.get(number_of(entry), 0)]
        partial = self.metrics_file.with_name(f"{METRICS_FILE}.{os.getpid()}.partial")
        partial.write_bytes(b"".join(map(line_of, kept)))
        partial.replace(self.metrics_file)
        if kept:
            self._began, self._step = self._began - kept[-1]["seconds"], kept[-1]["step"]
        self._opened = True

    def _complain(self, what: str, error: Exception) -> None:
        if what not in self._complained:
            self._complained.add(what)
            self._on_progress(Progress(stage="train", message=f"{what} cannot be written, it goes on: {error}"))


def resumed_steps(directory: Path) -> dict[str, int]:
    """Return the step that each encoder of a training in `directory` goes on from, by its number (`number_of`).

    Encoders without a checkpoint are missing; a checkpoint that can't be read is left to the training to refuse.
    """
    folders = {folder.name.removeprefix(MEMBER.format("")): folder for folder in directory.glob(MEMBER.format("*"))}
    steps: dict[str, int] = {}
    for number, folder in {"": directory, **folders}.items():
        with contextlib.suppress(CheckpointError, KeyError):
            steps[number] = checkpoint.load(folder)["step"]
    return steps


def number_of(entry: Entry) -> str:
    """Return the number of the encoder that a line is about, from 1; empty for the only one, or all of them."""
    return str(entry.get("member", "")).partition("/")[0]


def entry_of(report: Progress, step: int) -> Entry:
    """Return the line for `report` at a step counted over all epochs; a number that JSON has not is null."""
    figures: dict[str, float] = {"loss": report.loss, "sessions_per_s": round(report.sessions_per_s, 1)}
    figures |= report.metrics
    return {
        "stage": report.stage,
        **({"member": report.member} if report.member else {}),
        "epoch": report.epoch,
        "step": step,
        **{name: value if math.isfinite(value) else None for name, value in figures.items()},
        "ts": time.time_ns() // 1_000_000,
    }


def line_of(entry: Entry) -> bytes:
    """Return the entry as a line of JSON."""
    return json.dumps(entry).encode() + b"\n"


def read_entries(metrics_file: Path) -> list[Entry]:
    """Return the lines of a metrics file, without those that a kill has torn; none if there is no file."""
    if not metrics_file.is_file():
        return []
    entries = []
    for line in metrics_file.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in REQUIRED.items()):
            entries.append(entry)
    return entries


def draw(entries: Sequence[Entry], path: Path, baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Write the loss and the validation metrics by step to `path`, in the format of its suffix, in one go.

    Raises what matplotlib and the file system raise. matplotlib is imported here: it would delay every start.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_loss(upper, entries)
    draw_validation(lower, [entry for entry in entries if entry["stage"] == "validate"], baselines)
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix[1:], dpi=120)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(image.getvalue())
    partial.replace(path)


def by_member(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each encoder, under the ending of its labels."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(f", {entry['member']}" if "member" in entry else "", []).append(entry)
    return groups


def draw_loss(axes: Axes, entries: Iterable[Entry]) -> None:
    """Draw the loss of each encoder, thinned out to MAX_POINTS."""
    groups = by_member(entry for entry in entries if entry.get("loss") is not None)
    for member, group in groups.items():
        shown = group[:: -(-len(group) // MAX_POINTS)]
        steps, losses = [entry["step"] for entry in shown], [entry["loss"] for entry in shown]
        axes.plot(steps, losses, marker="." if len(shown) < 20 else "", label=f"loss{member}")
    if len(groups) > 1:
        axes.legend(frameon=False)
    axes.set_ylabel("loss")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)


def draw_validation(axes: Axes, entries: Sequence[Entry], baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a line for each metric in PLOTTED of each encoder, and a dashed one for each baseline's recall."""
    for member, group in by_member(entries).items():
        for metric, shown in PLOTTED.items():
            found = [(entry["step"], entry[metric]) for entry in group if entry.get(metric) is not None]
            if found:
                axes.plot(*zip(*found, strict=True), marker="o", label=f"{shown}{member}")
    for number, (name, figures) in enumerate(baselines.items(), len(axes.lines)):
        if MAIN in figures:
            axes.axhline(
                figures[MAIN], label=f"{label(MAIN)} of {name}", linestyle="--", linewidth=1, color=f"C{number}"
            )
    axes.set_ylabel("validation metric")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
