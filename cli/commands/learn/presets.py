"""`presets`: which models have a name, and what each field of theirs is."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.options.common import Json
from cli.options.group import command
from cli.output import print_json, print_table

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Named models: which there are, and their settings.")


@command(app, "list")
def list_presets(json: Json = False) -> None:
    """The named models, and what each is."""
    from model.presets import PRESETS

    described = {name: _first_line(make) for name, make in PRESETS.items()}
    if json:
        return print_json(described)
    return print_table(["preset", "what it is"], [[name, what] for name, what in described.items()])


@command(app, "show")
def show(name: Annotated[str, typer.Argument(help="Name of a preset.")], json: Json = False) -> None:
    """Every field of one preset with its value; `train --set FIELD=VALUE` changes one."""
    from model.presets import preset
    from model.settings import known_settings

    chosen = preset(name)
    if json:
        return print_json(chosen.to_dict())
    rows = []
    for one in known_settings().values():
        part = getattr(chosen, one.component)
        rows.append([f"{one.component}.{one.name}", _word(getattr(part, one.name)), one.takes, one.meaning])
    for number, encoder in enumerate(chosen.committee, start=2):
        first = asdict(chosen.encoder)
        differs = {key: value for key, value in asdict(encoder).items() if value != first[key]}
        said = ", ".join(f"{key} {_word(value)}" for key, value in differs.items())
        rows.append([f"encoder {number}", said, "", "as the first, but for this"])
    return print_table(["field", "value", "takes", "what it is"], rows)


def _first_line(make: Any) -> str:
    function = getattr(make, "func", make)
    line = (function.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")
    named = getattr(make, "keywords", {})
    return f"{line} {'inputs' * named['inputs']} {'targets' * named['targets']}".rstrip() if named else line


def _word(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
