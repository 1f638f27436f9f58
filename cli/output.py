"""What commands print: tables for people and lines of JSON on stdout, words on stderr.

What users and shops named (ids, paths, columns) is printed as it is: brackets in it are no markup, colons no emoji.
"""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import OutputLost
from export.log_lines import in_json, json_line

if TYPE_CHECKING:
    from model.data.readers import ReadReport

__all__ = [
    "figure",
    "finish",
    "output_kept",
    "print_json",
    "print_line",
    "print_table",
    "report",
    "say",
    "stderr",
    "stdout",
    "tell_read",
]

WIDTH = 2_000  # characters of a table that is not printed on a terminal

_SEPARATORS = re.compile("[\x85\u2028\u2029]")  # the control characters below U+0020 are escaped anyway

stderr = Console(stderr=True)


class _Stdout(Console):
    """Stdout, whose reader may go."""

    def on_broken_pipe(self) -> NoReturn:
        """End with a word, where Rich would end without."""
        _lose(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))


def stdout() -> Console:
    """Return the console of stdout as it is now."""
    return _Stdout()


def say(text: str, level: str = "INFO") -> None:
    """Print a line on stderr as it is; as JSON, with the level, where logs are."""
    if in_json():
        with contextlib.suppress(OSError):
            print(json_line(level, text), file=sys.stderr, flush=True)
        return
    stderr.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def print_line(text: str) -> None:
    """Print a line on stdout, at once. OutputLost where it can't be."""
    with output_kept():
        print(text, flush=True)


def print_json(value: Any) -> None:
    """Print one line of JSON, also for readers that end a line at any separator of Unicode."""
    text = msgspec.json.encode(value).decode()
    print_line(_SEPARATORS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def tell_read(name: str, report: "ReadReport") -> None:
    """Say what was read of a log, with samples of bad lines."""
    for line in report.told(name):
        say(line)


def report(values: dict[str, Any], json: bool) -> None:
    """Print what a command found: one JSON line, or a table of names and values."""
    if json:
        return print_json(values)
    flat = _flatten(values)
    print_table(["", ""], [[name, figure(name, value)] for name, value in flat.items()])
    return None


def figure(name: str, value: Any) -> str:
    """A value as people read it, by its name: metrics (recall@20) with four decimals, times with one, rates whole."""
    if not isinstance(value, float):
        return str(value)
    if "@" in name:
        return f"{value:.4f}"
    if (name.endswith("_per_s") and abs(value) >= 10) or abs(value) >= 1000 or value.is_integer():
        return f"{value:.0f}"
    if name.endswith(("seconds", "_s", "_ms")):
        return f"{value:.1f}"
    return f"{value:.4g}"


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    """Print rows under their columns' names; without a heading where all of these are empty."""
    table = Table(box=None, show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console = stdout()
    if not console.is_terminal:  # a file or a pipe: no value is cut or folded
        console.width = max(console.width, WIDTH)
    with output_kept():
        console.print(table)


def finish() -> None:
    """Write what stdout still holds. OutputLost where it can't be."""
    if sys.stdout is not None:  # as it is where the shell closed it
        with output_kept():
            sys.stdout.flush()


@contextlib.contextmanager
def output_kept() -> Iterator[None]:
    """Turn what fails in the block, which writes to stdout, into OutputLost."""
    try:
        yield
    except OSError as error:
        _lose(error)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flatten(value, f"{prefix}{name} ") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


def _lose(error: OSError) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):  # what is left in the buffer must not fail again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    why = "its reader has gone" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    raise OutputLost(f"the output could not be written to the end: {why}") from error
