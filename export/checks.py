"""Checks that every configuration makes of its values."""

import dataclasses
import math
from typing import Any, get_args

from export.errors import ConfigError

__all__ = ["require", "require_finite", "require_one_of"]


def require_finite(config: Any) -> None:
    """Raise ConfigError where a field of a dataclass is NaN or infinite: such numbers pass comparisons unnoticed."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{field.name} must be a finite number, not {value}")


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with the message where the condition does not hold."""
    if not condition:
        raise ConfigError(message)


def require_one_of(name: str, value: object, kind: Any) -> None:
    """Raise ConfigError where a value is none of a Literal's."""
    require(value in get_args(kind), f"{name} is one of {', '.join(get_args(kind))}, not {value!r}")
