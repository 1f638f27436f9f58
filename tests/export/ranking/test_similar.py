"""Tests of export/ranking/similar.py, against comparing all with all."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle
from export.bundle.writing import write_bundle
from export.errors import BundleError, ConfigError
from export.ranking import similar
from export.ranking.similar import Similar, write_vectors


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("plain") / "bundle", items=40)


def with_vectors(plain: Bundle, folder: Path, seed: int = 0) -> Bundle:
    vectors = np.random.default_rng(seed).normal(size=(40, 6))
    vectors[7] = 0.0
    write_vectors(folder / "made.npy", vectors)
    return write_bundle(
        folder / "bundle",
        onnx_file=plain.onnx_path,
        vocabulary=plain.vocabulary,
        popularity=plain.popularity,
        manifest=plain.manifest,
        vectors_file=folder / "made.npy",
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 5), st.integers(1, 45), st.lists(st.integers(1, 40), min_size=1, max_size=9))
def test_cosines_are_those_of_the_vectors(
    plain: Bundle, tmp_path_factory: pytest.TempPathFactory, seed: int, block: int, asked: list[int]
) -> None:
    found = Similar(with_vectors(plain, tmp_path_factory.mktemp("v"), seed))
    unit = np.asarray(found._vectors, dtype=np.float64)
    wanted = np.clip(unit @ unit.T, -1, 1)
    for held in (0, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(similar, "_BLOCK", block)
            patch.setattr(similar, "_HELD", held)
            cosines = found.cosines(np.array(asked, np.int32))
        assert cosines.shape == (len(asked), 41)
        assert (cosines[:, 0] == 0).all()
        assert (found.cosines(np.array(asked[:1], np.int32)) == found.cosines(np.array(asked[:1] * 2, np.int32))).all()
        assert np.allclose(cosines[:, 1:], wanted[np.array(asked) - 1], atol=1e-6)


def test_bundle_keeps_its_vectors_and_verifies_them(plain: Bundle, tmp_path: Path) -> None:
    bundle = with_vectors(plain, tmp_path)
    assert "vectors.npy" in bundle.manifest.files
    path = bundle.path / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="altered"):
        load_bundle(bundle.path)
    path.unlink()
    with pytest.raises(BundleError, match="missing_file"):
        load_bundle(bundle.path)


def test_bundle_without_vectors_or_with_wrong_ones_is_refused_with_words(plain: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train a new version"):
        Similar(plain)
    broken = np.full((40, 2), np.nan, np.float16)
    for name, content in (("short", broken[:3]), ("kind", np.zeros((40, 2), np.int16)), ("no number", broken)):
        np.save(tmp_path / f"{name}.npy", content)
        with pytest.raises(BundleError, match="bad_vectors"):
            Similar(dataclasses.replace(plain, vectors_path=tmp_path / f"{name}.npy"))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(BundleError, match="bad_vectors"):
        Similar(dataclasses.replace(plain, vectors_path=tmp_path / "broken.npy"))
