"""Checks that every configuration makes of its values."""

import dataclasses
import math
from typing import Any

from export.errors import ConfigError

__all__ = ["require_finite"]


def require_finite(config: Any) -> None:
    """Raise ConfigError where a field of a dataclass is NaN or infinite: such numbers pass comparisons unnoticed."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{field.name} must be a finite number, not {value}")
