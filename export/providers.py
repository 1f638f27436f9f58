"""Where a graph runs and a model is trained: the one list of such places."""

from typing import Literal, get_args

from export.errors import ConfigError

__all__ = ["PROVIDERS", "Provider", "require_provider"]

Provider = Literal["cpu", "cuda"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)


def require_provider(value: str) -> None:
    """Raise ConfigError unless `value` is one of them."""
    if value not in PROVIDERS:
        raise ConfigError(f"provider {value!r}: it is one of {', '.join(PROVIDERS)}")
