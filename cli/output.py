"""What commands print: tables of people, and lines of JSON."""

import re
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from model.data.readers import ReadReport

__all__ = ["print_json", "print_table", "report", "say", "stderr", "tell_read"]

WIDTH = 2_000  # characters of a table that is not printed on a terminal

_SEPARATORS = re.compile("[\x85\u2028\u2029]")  # the control characters below U+0020 are escaped anyway

stderr = Console(stderr=True)


def print_json(value: Any) -> None:
    """Print one line of JSON, also for readers that end a line at any separator of Unicode."""
    text = msgspec.json.encode(value).decode()
    print(_SEPARATORS.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)


def say(text: str) -> None:
    """Print a line for people, as it is."""
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)


def tell_read(name: str, report: "ReadReport") -> None:
    """Say what was read of a log, with samples of bad lines."""
    for line in report.told(name):
        say(line)


def report(values: dict[str, Any], json: bool) -> None:
    """Print what a command found: one JSON line, or a table of names and values."""
    if json:
        return print_json(values)
    flat = _flatten(values)
    print_table(
        ["", ""], [[name, f"{value:.4f}" if isinstance(value, float) else value] for name, value in flat.items()]
    )
    return None


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flatten(value, f"{prefix}{name} ") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    """Print rows under their columns' names; without a heading where all of these are empty."""
    table = Table(box=None, show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row))
    console = Console()
    if not console.is_terminal:  # a file or a pipe: no value is cut or folded
        console.width = max(console.width, WIDTH)
    console.print(table)
