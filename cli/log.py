"""`nextclick log`: a report on a click log before it is used."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.options import Json, print_json
from cli.reading import reads_logs

if TYPE_CHECKING:
    from model.data.readers import ReadOptions

__all__ = ["app", "log"]

app = typer.Typer()


@app.command()
@reads_logs
def log(
    path: Annotated[Path, typer.Argument(help="Click log: a file, or a folder of files.")],
    read: "ReadOptions",
    json: Json = False,
) -> None:
    """Report on a click log before it is used: what is in it, what is odd, what could not be read."""
    from rich.console import Console

    from model.data.survey import survey

    found = survey(path, read)
    if json:
        return print_json(found.to_json())
    console = Console()
    for name, text in found.lines():
        console.print(Text(f"{name:<10}"), Text(text), soft_wrap=not console.is_terminal)
    return None
