"""`log`: a report on a click log before it is used."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import Json
from cli.options.group import command
from cli.options.reading import Reading
from cli.output import print_json, print_line

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
    for name, text in found.lines():
        print_line(f"{name:<10} {text}")
    return None
