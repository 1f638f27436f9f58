"""`--set key=value`: any field of a preset's components, read by its type.

A field is named alone (`dropout`) or with its component (`encoder.dropout`); no two components share a name. What a
field means stands beside it in `model/config.py`, and is shown from there.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from export.errors import ConfigError
from model.after.config import AfterConfig
from model.config import Preset
from model.learn.config import LossConfig, NegativesConfig, TrainConfig
from model.nets.config import EncoderConfig, TowerConfig

__all__ = ["COMPONENTS", "Setting", "changed", "known_settings", "read_settings", "with_settings"]

COMPONENTS: dict[str, Any] = {
    "encoder": EncoderConfig,
    "negatives": NegativesConfig,
    "loss": LossConfig,
    "train": TrainConfig,
    "tower": TowerConfig,
    "after": AfterConfig,
}
OPTIONS = {  # fields that the command line has an option for, which says more than the field
    "seed": "--seed",
    "device": "--device",
    "precision": "--precision",
    "threads": "--threads",
    "max_seconds": "--max-seconds",
    "target_weights": "--target-weights",
}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field that can be set."""

    component: str
    name: str
    kind: Any  # its type
    default: Any  # of its component; a preset may have another
    meaning: str

    @property
    def takes(self) -> str:
        """What people may give."""
        return _takes(self.kind)

    def read(self, text: str) -> Any:
        """Return the value that a text stands for; ConfigError where it is none of this field's."""
        try:
            return _read(self.kind, text.strip())
        except ValueError:
            raise ConfigError(f"--set {self.name}={text}: {self.name} is {self.takes}") from None


@cache
def known_settings() -> Mapping[str, Setting]:
    """Return every field that can be set, by its name."""
    found: dict[str, Setting] = {}
    for component, config in COMPONENTS.items():
        kinds, meanings = get_type_hints(config), _meanings(config)
        for one in fields(config):
            if one.name in OPTIONS:
                continue
            found[one.name] = Setting(
                component=component,
                name=one.name,
                kind=kinds[one.name],
                default=one.default,
                meaning=meanings.get(one.name, ""),
            )
    return found


def read_settings(given: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `key=value` texts with their values; ConfigError for one that is unknown, has no value or a
    wrong one, or is given twice."""
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise ConfigError(f"--set {text}: a field and its value are wanted, such as --set dropout=0.2")
        setting = _setting(key)
        if setting.name in found:
            raise ConfigError(f"--set {text}: {setting.name} is given twice")
        found[setting.name] = setting.read(value)
    return found


def with_settings(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """Return a preset with these fields put in, an encoder's into every encoder of a committee. ConfigError for values
    that its components refuse, or a tower's field where it has none."""
    known = known_settings()
    parts: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        parts.setdefault(_setting(name).component, {})[known[_setting(name).name].name] = value
    if "tower" in parts and preset.tower is None:
        raise ConfigError(f"--set {next(iter(parts['tower']))}: this training has no item tower")
    try:
        chosen = {part: replace(getattr(preset, part), **values) for part, values in parts.items()}
        encoder = parts.get("encoder", {})
        committee = tuple(replace(one, **encoder) for one in preset.committee)
        return replace(preset, **chosen, committee=committee)
    except ConfigError as error:
        names = " ".join(f"--set {name}={_shown(value)}" for name, value in settings.items())
        raise ConfigError(f"{names}: {error}") from error


def changed(config: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields, as `component.name`, in which a preset's plain values differ from another's."""
    found: dict[str, Any] = {}
    for component in COMPONENTS:
        own, before = config.get(component) or {}, other.get(component) or {}
        found |= {f"{component}.{name}": value for name, value in own.items() if before.get(name) != value}
    return found


def _setting(key: str) -> Setting:
    component, _, name = key.rpartition(".")
    known = known_settings()
    if name in OPTIONS and component in ("", "train", "loss"):
        raise ConfigError(f"--set {key}: it has an option of its own, {OPTIONS[name]}")
    if name in known and component in ("", known[name].component):
        return known[name]
    if name in known:
        raise ConfigError(f"--set {key}: {name} is a field of {known[name].component}, not of {component}")
    close = difflib.get_close_matches(name, known, n=3)
    meant = f"; did you mean {' or '.join(close)}?" if close else "."
    every = "; ".join(
        f"{part}: {', '.join(one.name for one in known.values() if one.component == part)}" for part in COMPONENTS
    )
    raise ConfigError(f"--set {key}: there is no such field{meant} There are {every}. --set help says what they mean")


def _read(kind: Any, text: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if text.lower() == "none":
            return None
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return _read(inner, text)
    if origin is Literal:
        if text not in get_args(kind):
            raise ValueError(text)
        return text
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    return kind(text)


def _takes(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return f"{_takes(inner)}, or none"
    if origin is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return {int: "a whole number", float: "a number", bool: "true or false"}[kind]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _meanings(config: type) -> dict[str, str]:
    """The comment beside each field of a dataclass; none where its source is not at hand."""
    try:
        source = inspect.getsource(config)
    except OSError:
        return {}
    return dict(re.findall(r"^    (\w+): [^#\n]*#\s*(.*)$", source, re.MULTILINE))
