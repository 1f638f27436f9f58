"""Groups of options: a dataclass whose fields are options, and which a command takes as one parameter.

    @dataclass(frozen=True, kw_only=True)
    class Reading:
        format: Annotated[str | None, option("--format", help="…")] = None

    @command(app)
    def train(read: Reading, seed: Annotated[int, option("--seed")] = 0) -> None: ...

Typer sees `train(format=…, seed=…)`; the command gets a `Reading`.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable, Collection
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from export.errors import ConfigError

__all__ = ["command", "option"]

_LARGEST = 1e9  # of minutes, seconds, clicks a second: beyond it products overflow, and so do the system's clocks
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/")  # what pathlib leaves of URLs: s3:/shop/log.csv


def option(*names: str, **settings: Any) -> Any:
    """A Typer option; short, as there are many of them."""
    return typer.Option(*names, **settings)


def command(app: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[Callable[..., None]], None]:
    """Register a function as a command of `app`, its groups of options spread out, with rules that hold for all.

    NaN, infinities and numbers near them are no values of an option, and URLs are no paths: ConfigError.
    """

    def register(function: Callable[..., None]) -> None:
        app.command(name, **settings)(_spread(function))

    return register


def _spread(function: Callable[..., None]) -> Callable[..., None]:
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, tuple[Any, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        kind = hints[parameter.name]
        if not is_dataclass(kind):
            parameters.append(_keyword(parameter.name, kind, parameter.default))
            continue
        options = get_type_hints(kind, include_extras=True)
        groups[parameter.name] = (kind, [field.name for field in fields(kind)])
        for field in fields(kind):
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            parameters.append(_keyword(field.name, options[field.name], default))

    arguments = {p.name for p in parameters if _is_argument(p.annotation)}

    @functools.wraps(function)
    def spread(**given: Any) -> None:
        _refuse(given, arguments)
        for name, (kind, names) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in names})
        function(**given)

    del spread.__wrapped__  # Typer must see the options, not the groups  # type: ignore[attr-defined]
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _is_argument(annotation: Any) -> bool:
    return any(isinstance(part, ArgumentInfo) for part in getattr(annotation, "__metadata__", ()))


def _refuse(given: dict[str, Any], arguments: Collection[str]) -> None:
    for name, value in given.items():
        label = name.upper() if name in arguments else f"--{name.replace('_', '-')}"
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{label} must be a finite number, not {value}")
        if isinstance(value, float) and abs(value) > _LARGEST:
            raise ConfigError(f"{label} must be at most {_LARGEST:,.0f}, not {value}")
        if isinstance(value, Path) and (found := _URL.match(str(value))):
            raise ConfigError(
                f"{label} is a path on this machine, not a URL of {found[1]}; "
                "of a folder that is called so give the whole path"
            )
