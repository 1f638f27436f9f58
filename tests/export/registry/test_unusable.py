"""Versions that nobody can serve: refused at promotion and at load, at once and in little memory."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from bench.rig.toy import toy_manifest
from export.bundle.bundle import ITEMS, MANIFEST, MODEL, POPULARITY, Bundle, load_bundle
from export.bundle.writing import write_bundle
from export.errors import BundleError
from export.ranking.ranker import Ranker
from export.registry.registry import Registry

HUGE = 1 << 40  # bytes; of a sparse file


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    os.truncate(path, HUGE)


@pytest.fixture
def local(tmp_path: Path, bundle: Bundle) -> Registry:
    """A registry of two versions, the first of them live."""
    made = Registry(tmp_path / "registry")
    made.create()
    for _ in range(2):
        made.publish(bundle.path)
    made.promote("1")
    return made


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [MODEL, ITEMS, POPULARITY, MANIFEST])
@pytest.mark.parametrize("damage", [fifo, device, huge])
def test_version_with_something_that_is_no_file_of_it_is_refused(
    local: Registry, name: str, damage: Callable[[Path], None]
) -> None:
    damage(local.fetch("2") / name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=name):
        local.promote("2")
    with pytest.raises(BundleError, match=name):
        load_bundle(local.fetch("2") if name != MANIFEST else Path(local.uri("2")))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    assert local.versions() == ["1", "2"]
    assert local.live() == "1"


def newer_ir(bundle: Bundle, directory: Path) -> Path:
    """The bundle with its graph in a version of ONNX that no runtime reads yet."""
    graph = onnx.load(bundle.onnx_path)
    graph.ir_version = 99
    onnx.save(graph, directory.with_suffix(".onnx"))
    popularity = np.array(bundle.popularity)
    written = write_bundle(
        directory,
        onnx_file=directory.with_suffix(".onnx"),
        vocabulary=bundle.vocabulary,
        popularity=popularity,
        manifest=toy_manifest(),
    )
    return written.path


def test_version_of_an_ir_that_the_runtime_refuses_is_not_promoted(
    local: Registry, bundle: Bundle, tmp_path: Path
) -> None:
    version = local.publish(newer_ir(bundle, tmp_path / "newer"))
    with pytest.raises(BundleError, match="IR version") as refused:
        local.promote(version)
    assert refused.value.reason == "bad_model"
    assert local.live() == "1"
    with pytest.raises(BundleError, match="IR version"):
        Ranker(load_bundle(local.fetch(version)))


def test_rollback_skips_a_version_whose_graph_does_not_run(local: Registry, bundle: Bundle, tmp_path: Path) -> None:
    for version in ("2", local.publish(bundle.path)):
        local.promote(version)
    damaged = Path(local.uri("2"))
    write_bundle(
        damaged,
        onnx_file=newer_ir(bundle, tmp_path / "newer") / MODEL,
        vocabulary=bundle.vocabulary,
        popularity=np.array(bundle.popularity),
        manifest=load_bundle(damaged).manifest,
    )
    assert local.rollback() == "1"
