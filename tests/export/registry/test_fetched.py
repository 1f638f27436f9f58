"""Bundles of a registry elsewhere: downloaded once, and mended where they are damaged."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from export.bundle.bundle import ITEMS, MANIFEST, MODEL, Bundle, load_bundle
from export.registry.registry import Registry


def test_fetch_from_elsewhere_downloads_once_and_again_when_the_version_differs(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(f"memory://{uuid.uuid4().hex}", cache=tmp_path / "cache")
    registry.create()
    registry.publish(bundle.path)
    path = registry.fetch("1")
    stamp = (path / MODEL).stat().st_mtime_ns
    assert registry.fetch("1") == path
    assert (path / MODEL).stat().st_mtime_ns == stamp
    (path / MANIFEST).write_bytes(b"left by another registry at this address")
    assert hashlib.sha256((registry.fetch("1") / MANIFEST).read_bytes()).hexdigest() == registry.manifest_sha256("1")
    assert [entry.name for entry in path.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("name", [MODEL, ITEMS])
def test_fetch_from_elsewhere_mends_what_is_damaged_in_the_cache(tmp_path: Path, bundle: Bundle, name: str) -> None:
    registry = Registry(f"memory://{uuid.uuid4().hex}", cache=tmp_path / "cache")
    registry.create()
    registry.publish(bundle.path)
    path = registry.fetch("1")
    (path / name).write_bytes((path / name).read_bytes()[:-1])
    assert load_bundle(registry.fetch("1")).manifest.version == "1"


def test_fetch_from_elsewhere_repeats_a_download_that_comes_damaged(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(f"memory://{uuid.uuid4().hex}", cache=tmp_path / "cache")
    registry.create()
    registry.publish(bundle.path)
    filesystem = registry._storage._files._fs  # type: ignore[attr-defined]
    whole, downloads = filesystem.get_file, []

    def get_file(source: str, target: str, **options: Any) -> None:
        whole(source, target, **options)
        downloads.append(source)
        if len(downloads) == 1:
            Path(target).write_bytes(b"")

    monkeypatch.setattr(filesystem, "get_file", get_file)
    assert load_bundle(registry.fetch("1")).manifest.version == "1"


def test_bundles_from_elsewhere_are_kept_where_the_user_keeps_such_files(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    registry = Registry(f"memory://{uuid.uuid4().hex}")
    registry.create()
    registry.publish(bundle.path)
    assert registry.fetch("1").is_relative_to(tmp_path / "nextclick")
