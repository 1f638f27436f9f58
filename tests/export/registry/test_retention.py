"""What a registry keeps, on a local directory and elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import msgspec
import pytest

from export.bundle.bundle import MANIFEST, Bundle, load_bundle
from export.bundle.manifest import Lineage
from export.bundle.writing import write_bundle
from export.errors import ConfigError, VersionUnknown
from export.registry.registry import Registry
from export.registry.retention import protected, prune
from tests.export.registry.test_registry import registry

__all__ = ["registry"]


@pytest.fixture
def ten(registry: Registry, bundle: Bundle) -> Registry:
    for _ in range(10):
        registry.publish(bundle.path)
    return registry


def test_prune_keeps_the_newest_and_says_what_is_gone(ten: Registry) -> None:
    assert prune(ten, keep=7) == ["1", "2", "3"]
    assert ten.versions() == [str(number) for number in range(4, 11)]
    assert prune(ten, keep=7) == []
    with pytest.raises(VersionUnknown):
        ten.fetch("1")


def test_prune_keeps_what_is_live_and_what_a_rollback_would_take_for_every_variant(ten: Registry) -> None:
    for version in ("1", "2", "3", "4"):
        ten.promote(version)
    ten.promote("5", "other")
    assert protected(ten) == {"2", "3", "4", "5"}
    prune(ten, keep=1)
    assert ten.versions() == ["2", "3", "4", "5", "10"]
    assert ten.rollback() == "3"
    assert ten.rollback() == "2"


def test_prune_keeps_what_it_is_told(ten: Registry) -> None:
    prune(ten, keep=2, also={"3", "no such"})
    assert ten.versions() == ["3", "9", "10"]


def test_prune_gives_no_number_again(ten: Registry, bundle: Bundle) -> None:
    prune(ten, keep=1)
    assert ten.publish(bundle.path) == "11"


@pytest.mark.parametrize("keep", [0, -1])
def test_prune_of_everything_is_refused(ten: Registry, keep: int) -> None:
    with pytest.raises(ConfigError):
        prune(ten, keep=keep)
    assert len(ten.versions()) == 10


def test_removal_that_was_cut_short_leaves_no_half_a_version(bundle: Bundle, tmp_path: Path) -> None:
    """The manifest goes first: what a kill leaves is no version, and its number stays taken."""
    files = fsspec.filesystem("memory")
    made = Registry("memory://cut-short", cache=tmp_path / "cache")
    made.create()
    made.publish(bundle.path)
    files.rm_file(f"/cut-short/1/{MANIFEST}")
    assert (made.versions(), made.publish(bundle.path)) == ([], "2")
    made.remove("1")
    assert not files.exists("/cut-short/1/model.onnx")
    files.rm("/cut-short", recursive=True)


def test_variants_are_those_that_something_was_promoted_for(ten: Registry) -> None:
    assert ten.variants() == []
    ten.promote("1", "b")
    ten.promote("1")
    assert ten.variants() == ["b", "default"]


def test_removed_version_that_was_downloaded_is_gone_from_the_cache(bundle: Bundle, tmp_path: Path) -> None:
    made = Registry("memory://cached", cache=tmp_path / "cache")
    made.create()
    made.publish(bundle.path)
    folder = made.fetch("1")
    assert load_bundle(folder).version == "1"
    made.remove("1")
    assert not folder.exists()
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    fsspec.filesystem("memory").rm("/cached", recursive=True)


def test_what_a_cycle_published_is_remembered_when_it_is_gone(registry: Registry, copied: Path) -> None:
    bundle = load_bundle(copied)
    for number in range(3):
        lineage = Lineage(cycle=f"default-{number:06d}")
        manifest = msgspec.structs.replace(bundle.manifest, lineage=lineage)
        registry.publish(
            write_bundle(
                copied,
                onnx_file=bundle.onnx_path,
                vocabulary=bundle.vocabulary,
                popularity=bundle.popularity,
                manifest=manifest,
            ).path
        )
    prune(registry, keep=1)
    assert [registry.removed_of(f"default-{number:06d}") for number in range(4)] == ["1", "2", None, None]


def test_memory_of_what_is_gone_is_bounded_and_no_reason_to_fail(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.registry.registry._REMEMBERED", 2)
    for number in range(3):
        registry._note_removed(f"c{number}", str(number + 1))
    assert [registry.removed_of(f"c{number}") for number in range(3)] == [None, "2", "3"]
    registry._storage.replace("removed.json", b"{half")
    assert registry.removed_of("c2") is None
