"""Wheels of what this virtual environment has installed, for a build that no package index answers.

A wheel is a zip of the files that a distribution's RECORD names (PEP 427). What an installer makes itself (scripts,
compiled modules, its own notes) is left out, and so is what lies outside of site-packages.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ["needed", "wheel_of"]

_INSTALLERS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def needed(requirements: Iterable[str], extra: str = "") -> dict[str, Distribution]:
    """The distributions that these requirements need here, and what those need, by name. PackageNotFoundError."""
    found: dict[str, Distribution] = {}
    for text in requirements:
        _find(Requirement(text), extra, found)
    return found


def wheel_of(installed: Distribution, folder: Path) -> Path:
    """Write its wheel into `folder`."""
    about = _headers(installed.read_text("WHEEL") or "")
    [info] = {file.parts[0] for file in installed.files or () if file.parts[0].endswith(".dist-info")}
    tags = [tag.split("-") for tag in about["Tag"]]
    tag = "-".join(".".join(dict.fromkeys(one[place] for one in tags)) for place in range(3))
    path = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for file in installed.files or ():
            if not _is_packed(file.parts, info):
                continue
            content = Path(str(file.locate())).read_bytes()
            packed.writestr(str(file), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={digest},{len(content)}\n")
        packed.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return path


def _find(wanted: Requirement, extra: str, found: dict[str, Distribution]) -> None:
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
        return
    name = wanted.name.lower().replace("_", "-")
    if name in found and not wanted.extras:
        return
    found[name] = installed = distribution(name)
    for one in ("", *wanted.extras):
        for text in installed.requires or ():
            inner = Requirement(text)
            if one == "" or (inner.marker is not None and "extra" in str(inner.marker)):
                _find(inner, one, found)


def _is_packed(parts: tuple[str, ...], info: str) -> bool:
    if ".." in parts or "__pycache__" in parts or parts[0].startswith("/"):
        return False
    return not (parts[0] == info and parts[-1] in _INSTALLERS)


def _headers(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    return found
