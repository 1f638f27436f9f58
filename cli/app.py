"""The program: every command in the group of those who use it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from cli.commands import (
    check,
    erase,
    experiment,
    feedback,
    items,
    models,
    replay,
    scoreboard,
    serve,
    shop,
    similar,
    status,
    topics,
    watch,
    worker,
)
from cli.commands.learn import evaluate, log, presets, recommend, train, trainer, tune
from cli.options.group import option

__all__ = ["app", "show_version"]

LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "torch")  # that say most about how a model ranks

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # keeps the brackets around defaults
)
for part in (
    shop,
    replay,
    log,
    train,
    trainer,
    tune,
    evaluate,
    recommend,
    check,
    worker,
    status,
    watch,
    serve,
    scoreboard,
    feedback,
    erase,
):
    app.add_typer(part.app)
app.add_typer(presets.app, name="presets", rich_help_panel="Train and measure")
app.add_typer(topics.app, name="topics", rich_help_panel="Serve")
app.add_typer(items.app, name="items", rich_help_panel="Serve")
app.add_typer(similar.app, name="similar", rich_help_panel="Serve")
app.add_typer(models.app, name="models", rich_help_panel="Serve")
app.add_typer(experiment.app, name="experiment", rich_help_panel="Serve")


def show_version(wanted: bool) -> None:
    """Print the versions of nextclick, Python and the libraries that rank, and end."""
    if not wanted:
        return
    parts = [f"nextclick {_version('nextclick') or 'not installed'}", f"Python {platform.python_version()}"]
    parts += [f"{library} {found}" for library in LIBRARIES if (found := _version(library))]
    print(", ".join(parts))
    raise typer.Exit


@app.callback(help="Clicks on Kafka in, the next items out, ranked by a Transformer.")
def _program(
    version: Annotated[
        bool, option("--version", callback=show_version, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
