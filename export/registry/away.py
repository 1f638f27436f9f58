"""A registry that was there and is away: found out, and what is to be done; for the problems of whoever asks it."""

from export.errors import RegistryMissing, VersionUnknown
from export.registry.registry import Registry

__all__ = ["remedy_for", "require_filled"]

_AGAIN = "; it is asked again"


def remedy_for(error: BaseException) -> str:
    """By what the storage said: the error that a registry raised, or one of those that it came from."""
    if isinstance(error, VersionUnknown):
        return f"publish it into this registry, or promote a version that it has{_AGAIN}"
    if isinstance(error, RegistryMissing):
        return f"see whether its folder is mounted, or its bucket is there, and its address right{_AGAIN}"
    if isinstance(error, PermissionError):
        return f"see to the credentials and to the rights: to read, and to list{_AGAIN}"
    if error.__cause__ is not None:
        return remedy_for(error.__cause__)
    return f"see to the storage: the folder's file system, or the endpoint and the network{_AGAIN}"


def require_filled(registry: Registry, known: str) -> None:
    """RegistryMissing where no version is left, though `known` was one: a folder that is not mounted is an empty one.
    Other errors as of Registry."""
    if registry.newest() is None:
        raise RegistryMissing(f"the registry {registry.url} is empty, and has held version {known}")
