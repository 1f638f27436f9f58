"""`--set key=value`: fields of a preset, and the table of all there are."""

from typing import Annotated

import typer

from cli.options.group import option
from cli.output import print_table

__all__ = ["Settings"]


def _help(given: list[str] | None) -> list[str] | None:
    if given and "help" in given:
        from model.settings import known_settings

        rows = [
            [f"{one.component}.{one.name}", one.takes, one.default, one.meaning] for one in known_settings().values()
        ]
        print_table(["field", "takes", "default", "what it is"], rows)
        raise typer.Exit
    return given


Settings = Annotated[
    list[str] | None,
    option(
        "--set",
        metavar="KEY=VALUE",
        callback=_help,
        is_eager=True,
        help="A field of the preset, such as dropout=0.2; may be repeated; help lists them.",
        rich_help_panel="The model",
    ),
]
