"""`log`: a report on a click log before it is used."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.options.common import Json
from cli.options.group import command
from cli.options.reading import Reading
from cli.output import print_json

__all__ = ["app"]

app = typer.Typer()


@command(app, rich_help_panel="Train and measure")
def log(
    path: Annotated[Path, typer.Argument(help="Click log: a file, or a folder of files.")],
    read: Reading,
    json: Json = False,
) -> None:
    """Report on a click log before it is used: what is in it, what is odd, what could not be read."""
    from model.data.survey import survey

    found = survey(path, read.options())
    if json:
        return print_json(found.to_json())
    console = Console()
    for name, text in found.lines():
        console.print(Text(f"{name:<10}"), Text(text), soft_wrap=not console.is_terminal)
    return None
