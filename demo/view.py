"""What the demo shows: a picture of the moment, drawn by Rich on a terminal; without one, a line now and then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.comparison import CONTROL, NEWEST
from demo.hits import Hits
from demo.join import Figures
from demo.spotlight import SpotlightRow

__all__ = ["LiveView", "PlainView", "Snapshot", "Training", "View", "render"]

LINE_EVERY_S = 5.0  # between two lines without a terminal
ROWS, EVENTS = 3, 6  # newest clicks of the shopper, and newest messages, where the terminal has room for them
MODELS = 4  # newest versions with their hit rates
_SMALL, _NARROW = 40, 100  # lines and columns of a terminal that has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that runs."""

    label: str
    detail: str = ""  # the step it is at


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The moment, as the view needs it."""

    seconds: float = 0.0  # since the first click
    clicks_per_s: float = 0.0
    figures: Figures | None = None  # None before shoppers have come
    hits: Hits = field(default_factory=Hits)
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
        size = self._live.console.size
        self._live.update(render(snapshot, self._describe, size.height, size.width), refresh=True)


class PlainView:
    """Lines for a log: each event once, the figures every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events = 0
        self._next = 0.0
        self._said = ""  # figures
        self._unsaid = ""  # the newest ones, where their line was not due yet

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unsaid:
            self._print(self._unsaid)

    def show(self, snapshot: Snapshot) -> None:
        """Print what is new; the last figures are printed at the end."""
        for event in snapshot.events[self._events :]:
            self._print(event)
        self._events = len(snapshot.events)
        figures = _figures_line(snapshot) or ""
        self._unsaid = "" if figures == self._said else figures
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_S
            self._said, self._unsaid = figures, ""
            for line in (_training_line(snapshot.training), figures):
                if line:
                    self._print(line)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def render(
    snapshot: Snapshot, describe: Callable[[str], str], height: int = _SMALL, width: int = _NARROW
) -> RenderableType:
    """The picture of one moment in `height` lines; `describe` puts an item id into words."""
    rows, events = (ROWS, EVENTS) if height >= _SMALL else (1, 3)
    small = height < _SMALL or width < _NARROW
    parts: list[RenderableType] = []
    if (figures := snapshot.figures) is not None:
        hits = _hits(snapshot.hits, figures.models)
        shopper = _shopper(snapshot.rows[-rows:], snapshot.shopper, describe)
        if small:
            parts += [_line(_speed_line(snapshot, figures)), _bare(hits), _bare(shopper)]
        else:
            parts += [Columns([_speed(snapshot, figures), hits], expand=True), shopper]
    if snapshot.training is not None:
        parts.append(_line(_training_line(snapshot.training)))
    parts += [_line(event) for event in snapshot.events[-events:]]
    return Panel(Group(*parts), title="nextclick demo", subtitle="Ctrl-C ends it")


def _line(text: str) -> Text:
    """One line, cut where the terminal ends."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _bare(table: Table) -> Table:
    """The same table in as few lines as it has rows."""
    table.box, table.show_header = None, False
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    return table


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


def _hits(hits: Hits, models: Sequence[str]) -> Table:
    """By variant once an experiment runs, before it by version; `models` are those served, in order."""
    table = Table("list", "hit rate", title="the next click was in the list", caption=_uplift(hits), expand=True)
    if hits.by_variant:
        served = {CONTROL: f"keeps model {models[0]}", NEWEST: f"now model {models[-1]}"} if models else {}
        for name, rate in hits.by_variant.items():
            table.add_row(f"{name}: {served.get(name, '')}", _percent(rate))
    else:
        for version in models[-MODELS:]:
            now = "  (serving)" if version == models[-1] else ""
            table.add_row(f"model {version}{now}", _percent(hits.by_model.get(version)))
    table.add_row("popularity", _percent(hits.popularity))
    return table


def _uplift(hits: Hits) -> str | None:
    """What fresh models are worth, and how sure that is."""
    if hits.uplift is None:
        return None
    if hits.interval is None:
        return f"{NEWEST} {hits.uplift:+.1%} (too few sessions for an interval)"
    low, high = hits.interval
    return f"{NEWEST} {hits.uplift:+.1%} (95%: {low:+.1%} to {high:+.1%})"


def _shopper(rows: Sequence[SpotlightRow], shopper: str | None, describe: Callable[[str], str]) -> Table:
    table = Table("", "clicks", "and is shown", "model", title=f"shopper {shopper or '-'}", expand=True)
    for row in rows:
        mark = {True: "  ✓ was in the list", False: "", None: ""}[row.hit]
        top = "\n".join(f"{place}. {describe(item)}" for place, item in enumerate(row.top, start=1)) or "…"
        table.add_row(str(row.number), describe(row.item) + mark, top, row.model)
    return table


def _training_line(training: Training | None) -> str:
    return f"training {training.label}: {training.detail}".rstrip(": ") if training is not None else ""


def _figures_line(snapshot: Snapshot) -> str:
    figures = snapshot.figures
    if figures is None:
        return ""
    hits = snapshot.hits
    parts = [
        f"{snapshot.seconds:.0f} s",
        _speed_line(snapshot, figures),
        f"hit rate {_percent(hits.model)} (popularity {_percent(hits.popularity)})",
        f"model {', '.join(figures.models) or '-'}",
        *(f"{name} {_percent(rate)}" for name, rate in hits.by_variant.items()),
    ]
    return "  ".join(parts)


def _speed_line(snapshot: Snapshot, figures: Figures) -> str:
    return (
        f"{figures.clicks:,} clicks, {figures.answered:,} answered  {snapshot.clicks_per_s:,.0f} clicks/s  "
        f"p50 {_number(figures.recent_p50_ms)} ms  p99 {_number(figures.recent_p99_ms)} ms"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
