"""What the demo shows: a picture of the moment, drawn by Rich on a terminal; without one, a line now and then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.join import Figures
from demo.spotlight import SpotlightRow

__all__ = ["LiveView", "PlainView", "Snapshot", "Training", "View", "render"]

LINE_EVERY_S = 5.0  # between two lines without a terminal
ROWS, EVENTS = 3, 6  # newest clicks of the shopper, and newest messages, where the terminal has room for them
_SMALL = 40  # lines of a terminal that has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that runs."""

    label: str
    share: float  # done, 0 to 1
    detail: str = ""  # what the trainer says


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The moment, as the view needs it."""

    seconds: float = 0.0  # since the first click
    clicks_per_s: float = 0.0
    figures: Figures | None = None  # None before shoppers have come
    training: Training | None = None
    shopper: str | None = None  # session watched
    rows: tuple[SpotlightRow, ...] = ()  # its newest clicks, oldest first
    events: tuple[str, ...] = ()  # what happened, oldest first


class View(Protocol):
    """Shows snapshots while its block lasts."""

    def __enter__(self) -> "View": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show the moment."""


class LiveView:
    """The picture on a terminal, drawn anew at each `show`."""

    def __init__(self, console: Console, describe: Callable[[str], str]) -> None:
        self._describe = describe
        self._live = Live(console=console, auto_refresh=False, transient=False, redirect_stdout=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the picture."""
        height = self._live.console.size.height
        self._live.update(render(snapshot, self._describe, height), refresh=True)


class PlainView:
    """Lines for a log: each event once, the figures every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events = 0
        self._next = 0.0

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        """Print what is new."""
        for event in snapshot.events[self._events :]:
            self._print(event)
        self._events = len(snapshot.events)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_S
            for line in (_training_line(snapshot.training), _figures_line(snapshot)):
                if line:
                    self._print(line)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def render(snapshot: Snapshot, describe: Callable[[str], str], height: int = _SMALL) -> RenderableType:
    """The picture of one moment in `height` lines; `describe` puts an item id into words."""
    rows, events = (ROWS, EVENTS) if height >= _SMALL else (1, 3)
    parts: list[RenderableType] = []
    if snapshot.figures is not None:
        parts.append(Columns([_speed(snapshot, snapshot.figures), _hits(snapshot.figures)], expand=True))
        parts.append(_shopper(snapshot.rows[-rows:], snapshot.shopper, describe))
    if snapshot.training is not None:
        parts.append(_bar(snapshot.training))
    parts.append(Text("\n".join(snapshot.events[-events:])))
    return Panel(Group(*parts), title="nextclick demo", subtitle="Ctrl-C ends it")


def _speed(snapshot: Snapshot, figures: Figures) -> Table:
    table = Table("clicks/s", "clicks", "answered", "p50 ms", "p99 ms", title="click to recommendation", expand=True)
    table.add_row(
        f"{snapshot.clicks_per_s:,.0f}",
        f"{figures.clicks:,}",
        f"{figures.answered:,}",
        _number(figures.recent_p50_ms),
        _number(figures.recent_p99_ms),
    )
    return table


def _hits(figures: Figures) -> Table:
    table = Table("list", "hit rate", title="the next click was in the list", expand=True)
    serving = figures.models[-1] if figures.models else ""
    for version in figures.models:
        now = "  (serving)" if version == serving else ""
        table.add_row(f"model {version}{now}", _percent(figures.hit_rate_by_model.get(version)))
    table.add_row("popularity", _percent(figures.hit_rate_popularity))
    return table


def _shopper(rows: Sequence[SpotlightRow], shopper: str | None, describe: Callable[[str], str]) -> Table:
    table = Table("", "clicks", "and is shown", "model", title=f"shopper {shopper or '-'}", expand=True)
    for row in rows:
        mark = {True: "  ✓ was in the list", False: "", None: ""}[row.hit]
        top = "\n".join(f"{place}. {describe(item)}" for place, item in enumerate(row.top, start=1)) or "…"
        table.add_row(str(row.number), describe(row.item) + mark, top, row.model)
    return table


def _bar(training: Training) -> Table:
    table = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=training.share, width=30)
    table.add_row(training.label, bar, f"{training.share:.0%}", training.detail)
    return table


def _training_line(training: Training | None) -> str:
    return f"{training.label} {training.share:.0%}  {training.detail}".rstrip() if training is not None else ""


def _figures_line(snapshot: Snapshot) -> str:
    figures = snapshot.figures
    if figures is None:
        return ""
    return (
        f"{snapshot.seconds:.0f} s  {figures.clicks:,} clicks, {figures.answered:,} answered  "
        f"{snapshot.clicks_per_s:,.0f} clicks/s  p50 {_number(figures.recent_p50_ms)} ms  "
        f"p99 {_number(figures.recent_p99_ms)} ms  hit rate {_percent(figures.hit_rate_model)} "
        f"(popularity {_percent(figures.hit_rate_popularity)})  model {', '.join(figures.models) or '-'}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
