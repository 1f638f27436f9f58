"""Tests of export/ranking/similar.py, against comparing all with all."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle, write_bundle
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


@given(st.integers(0, 5), st.integers(1, 45), st.integers(1, 50), st.integers(1, 50), st.none() | st.floats(0, 1))
def test_lists_are_those_of_comparing_all_with_all(
    plain: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    k: int,
    block: int,
    once: int,
    share: float | None,
) -> None:
    found = Similar(with_vectors(plain, tmp_path_factory.mktemp("v"), seed))
    available = None if share is None else np.random.default_rng(seed).random(41) < share
    unit = np.asarray(found._vectors, dtype=np.float32)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    if available is not None:
        scores[:, ~available[1:]] = -np.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "_BLOCK", block)
        patch.setattr(similar, "_AT_ONCE", once)
        lists = dict(found.all(k, available))
    assert list(lists) == list(plain.vocabulary.items)
    for row, name in zip(scores, plain.vocabulary.items, strict=True):
        wanted = np.sort(row[row > -np.inf])[::-1][:k]
        assert [score for _, score in lists[name]] == pytest.approx(wanted.tolist(), abs=1e-6)
        for item, score in lists[name]:
            assert row[plain.vocabulary.index(item) - 1] == pytest.approx(score, abs=1e-6)
        assert len({item for item, _ in lists[name]} - {name}) == len(wanted)


def test_some_items_are_asked_about_and_unknown_ones_have_no_list(plain: Bundle, tmp_path: Path) -> None:
    found = Similar(with_vectors(plain, tmp_path))
    lists = dict(found.all(3))
    assert found.of(["item-9", "never", "item-2"], 3) == [lists["item-9"], None, lists["item-2"]]
    with pytest.raises(ConfigError, match="at least one"):
        found.of(["item-9"], 0)


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
    for name, content in (("short", np.zeros((3, 2), np.float16)), ("kind", np.zeros((40, 2), np.int16))):
        np.save(tmp_path / f"{name}.npy", content)
        with pytest.raises(BundleError, match="bad_vectors"):
            Similar(dataclasses.replace(plain, vectors_path=tmp_path / f"{name}.npy"))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(BundleError, match="bad_vectors"):
        Similar(dataclasses.replace(plain, vectors_path=tmp_path / "broken.npy"))
