"""One thing that is wrong: how bad it is, what, where, and what to do about it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

__all__ = ["Finding", "Severity", "error", "exit_code", "info", "sorted_findings", "warning"]

Severity = Literal["error", "warning", "info"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """error: a worker would not start, or go wrong. warning: it works, and something is lost or at risk. info: it was
    looked at, or could not be."""

    severity: Severity
    check: str  # a slug that stays the same
    where: str  # a topic, the registry, redis
    what: str
    remedy: str = ""


def error(check: str, where: str, what: str, remedy: str = "") -> Finding:
    """A worker would not start, or go wrong."""
    return Finding(severity="error", check=check, where=where, what=what, remedy=remedy)


def warning(check: str, where: str, what: str, remedy: str = "") -> Finding:
    """It works, and something is lost or at risk."""
    return Finding(severity="warning", check=check, where=where, what=what, remedy=remedy)


def info(check: str, where: str, what: str, remedy: str = "") -> Finding:
    """Good to know; also what could not be looked at."""
    return Finding(severity="info", check=check, where=where, what=what, remedy=remedy)


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, else in the order they were made."""
    return sorted(findings, key=lambda one: _ORDER[one.severity])


def exit_code(findings: Iterable[Finding]) -> int:
    """2 with an error, 1 with a warning, else 0."""
    found = {one.severity for one in findings}
    return 2 if "error" in found else 1 if "warning" in found else 0
