"""What differs between two versions, by their manifests and vocabularies."""

from collections.abc import Mapping
from typing import Any

import msgspec

from export.bundle.bundle import Bundle

__all__ = ["changed", "difference", "flat"]


def difference(one: Bundle, other: Bundle) -> dict[str, Any]:
    """Return `config`, `training`, `valid`, `lineage` and `libraries` (name -> [one, other], where they differ), and
    `items`: how many were `added`, `removed` and are in `both`."""
    before, after = (msgspec.to_builtins(bundle.manifest) for bundle in (one, other))
    parts = {
        part: changed(before.get(part) or {}, after.get(part) or {})
        for part in ("config", "training", "valid", "lineage", "libraries")
    }
    if one.manifest.preset != other.manifest.preset:
        parts["config"]["preset"] = [one.manifest.preset, other.manifest.preset]
    old, new = set(one.vocabulary.items), set(other.vocabulary.items)
    items = {"added": len(new - old), "removed": len(old - new), "both": len(old & new)}
    return {"versions": [one.manifest.version, other.manifest.version], "items": items, **parts}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return name -> [before, after] of what differs; names of nested values are joined by dots, None: not there."""
    old, new = flat(before), flat(after)
    names = dict.fromkeys((*old, *new))
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, the names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found
