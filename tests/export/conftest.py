"""Fixtures of the exported side: exporting takes seconds, so the toy bundles are made once."""

import shutil
from pathlib import Path

import pytest

from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle
from export.ranking.ranker import Ranker, RankerConfig


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A sound bundle that no test may change."""
    return toy_bundle(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    """The directory of a copy that a test may damage."""
    return Path(shutil.copytree(bundle.path, tmp_path / "copy"))


@pytest.fixture(scope="session")
def ranker(bundle: Bundle) -> Ranker:
    return Ranker(bundle, RankerConfig(threads=1))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    """A ranker of a catalogue of five items, whose lists may hold all of it."""
    directory = tmp_path_factory.mktemp("small") / "bundle"
    toy_bundle(directory, items=5, k_max=5)
    return Ranker(load_bundle(directory), RankerConfig(threads=1))
