"""A comparison as a table for people."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from model.evaluate.compare import Comparison, SystemFigures

__all__ = ["comparison_table", "print_comparison"]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the table; where the console is no terminal it is as wide as it needs to be."""
    table = comparison_table(comparison)
    if not console.is_terminal:
        console.width = max(console.width, Measurement.get(console, console.options.update(width=1000), table).maximum)
    console.print(table)


def comparison_table(comparison: Comparison) -> Table:
    """Return a row a system: measures with their intervals, differences to the first, speed; the best of each bold."""
    measures, paired = list(comparison.systems[0].metrics), list(comparison.systems[-1].vs_first)
    table = Table(box=None)
    for header in ("system", *measures, *(f"{name} to first" for name in paired), "sessions/s"):
        table.add_column(header, overflow="fold")
    table.caption = (
        f"{comparison.predictions:,} predictions of {comparison.sessions:,} sessions; "
        f"below each figure its {comparison.confidence:.0%} interval, by bootstrap over sessions"
    )
    table.caption_justify = "left"
    best = {name: max(system.metrics[name] for system in comparison.systems) for name in measures if _is_better(name)}
    fastest = max(system.sessions_per_s for system in comparison.systems)
    for system in comparison.systems:
        table.add_row(
            Text(system.name),
            *(_measure(system, name, best.get(name)) for name in measures),
            *(_difference(system, name) for name in paired),
            Text(f"{system.sessions_per_s:,.0f}", "bold" if system.sessions_per_s == fastest else ""),
        )
    return table


def _is_better(name: str) -> bool:
    """Whether more of it is better: what lists are like is as the shop wants it."""
    return not name.startswith(("novelty@", "popularity_share@", "diversity@"))


def _measure(system: SystemFigures, name: str, best: float | None) -> Text:
    value = system.metrics[name]
    text = Text().append(_short(value), "bold" if value == best else "")
    return text.append(f"\n{'-'.join(map(_short, system.ci[name]))}", "dim") if name in system.ci else text


def _difference(system: SystemFigures, name: str) -> Text:
    if name not in system.vs_first:
        return Text()
    found, *bounds = (_short(value, "+") for value in system.vs_first[name])
    return Text().append(found).append(f"\n{'..'.join(bounds)}", "dim")


def _short(value: float, sign: str = "") -> str:
    """Return four decimals, without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1)
