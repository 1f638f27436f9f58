"""What the two kinds of storage agree on: the files of a version, and the names in a registry."""

from export.bundle.bundle import OPTIONAL, REQUIRED

__all__ = ["FILES", "STAGING", "is_number"]

FILES = REQUIRED + OPTIONAL  # beside the manifest, all that a version may have
STAGING = ".staging-"  # how names of what is not complete begin


def is_number(name: str) -> bool:
    """Return whether a file or folder is named like a version."""
    return name.isascii() and name.isdigit() and not name.startswith("0") and len(name) <= 18
