"""Presets of a shop's own: a TOML file that names the preset it changes, and the fields it changes.

base = "tron-fast"

[set]
dropout = 0.25
lr = 0.003
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.errors import ConfigError
from model.presets import PRESETS, preset
from model.settings import read_settings, with_settings

__all__ = ["base_and_settings", "merged", "preset_toml"]


def base_and_settings(name: str) -> tuple[str, list[str]]:
    """Return the preset that a name, or a file's path, stands for, and the `key=value` texts of what it changes.

    ConfigError for a file that can't be read, has other parts than these, or fields that there are not.
    """
    if name in PRESETS or not (name.endswith(".toml") or Path(name).is_file()):
        return name, []
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{name} can't be read as a preset: {error}") from error
    base, fields = content.pop("base", None), content.pop("set", {})
    if not isinstance(base, str) or not isinstance(fields, dict) or content:
        odd = f"; it has {', '.join(content)} too" if content else ""
        raise ConfigError(f'{name} is no preset: it takes base = "NAME", and fields under [set]{odd}')
    given = [f"{key}={_text(value)}" for key, value in fields.items()]
    try:
        with_settings(preset(base), read_settings(given))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return base, given


def merged(filed: Sequence[str], given: Sequence[str]) -> list[str]:
    """Return the `key=value` texts of a file and those given beside it, which win."""
    own = read_settings(given)
    return [*(text for text in filed if not set(read_settings([text])) & set(own)), *given]


def preset_toml(base: str, settings: Mapping[str, Any], comment: str = "") -> str:
    """Return the content of such a file."""
    lines = [f"# {line}" for line in comment.splitlines()] + [f'base = "{base}"', "", "[set]"]
    lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) or value is None else repr(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
