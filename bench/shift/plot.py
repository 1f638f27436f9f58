"""The plot of `python -m bench.shift.drift`: hit rate over time, with a trainer and without one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.shift.figures import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"on": "C0", "off": "C3"}
_LABELS = {"on": "trainer on", "off": "trainer off: the first model stays"}


def draw(
    path: Path, series: Mapping[str, Series], *, window_s: float, shift_s: float, versions: Sequence[float] = ()
) -> None:
    """Write it in the format of the suffix. `versions`: seconds at which a version of the trainer was first seen."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "nextclick"  # the same figures make the same file
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, rates in series.items():
        _line(axes, rates, window_s, name)
    axes.axvline(shift_s, color="black", linewidth=1, linestyle="--")
    axes.annotate(" the shop shifts", (shift_s, 1.0), xycoords=("data", "axes fraction"), va="top")
    if versions:
        ticks = axes.get_ylim()[0]
        axes.plot(versions, [ticks] * len(versions), "^", color=_COLOURS["on"], clip_on=False, label="a fresh version")
    axes.set_xlabel("seconds of live clicks")
    axes.set_ylabel("hit rate @20")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper right")
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    path.write_bytes(image.getvalue())


def _line(axes: Axes, rates: Series, window_s: float, name: str) -> None:
    points = [((place + 0.5) * window_s, rate) for place, rate in enumerate(rates) if rate is not None]
    axes.plot(*zip(*points, strict=True), color=_COLOURS.get(name), label=_LABELS.get(name, name))
