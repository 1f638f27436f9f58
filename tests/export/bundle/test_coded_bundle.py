"""Tests of bundles whose items are codes; export/bundle/bundle.py, the graph aside."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.rig.toy import ITEMS as V
from bench.rig.toy import toy_manifest, toy_vocabulary
from export.bundle.bundle import MANIFEST, Bundle, load_bundle
from export.bundle.manifest import Coded
from export.bundle.writing import write_bundle
from export.codes.codes import BOOKS, CODES, ItemCodes
from export.errors import BundleError

STATED = Coded(splits=4, code_bits=8, made_by="svd")


def saved(folder: Path, *, splits: int = 4, bits: int = 8) -> ItemCodes:
    random = np.random.default_rng(0)
    codes = random.integers(0, 1 << bits, (V + 1, splits), dtype=np.uint8)
    codes[0] = 0
    made = ItemCodes(codes, random.standard_normal((splits, 1 << bits, 2), dtype=np.float32))
    folder.mkdir()
    made.save(folder)
    return made


def written(bundle: Bundle, target: Path, codes_in: Path | None, stated: Coded | None = STATED) -> Bundle:
    return write_bundle(
        target,
        onnx_file=bundle.onnx_path,
        vocabulary=toy_vocabulary(),
        popularity=bundle.popularity,
        manifest=msgspec.structs.replace(toy_manifest(), item_table=stated),
        codes_in=codes_in,
    )


def test_coded_bundle_has_its_codes(bundle: Bundle, tmp_path: Path) -> None:
    made = saved(tmp_path / "codes")
    coded = written(bundle, tmp_path / "bundle", tmp_path / "codes")
    assert coded.codes is not None
    assert coded.manifest.item_table == STATED
    assert {CODES, BOOKS} <= set(coded.manifest.files)
    np.testing.assert_array_equal(coded.codes.codes, made.codes)


def test_coded_bundle_written_again_in_its_place_stays_whole(bundle: Bundle, tmp_path: Path) -> None:
    made = saved(tmp_path / "codes")
    coded = written(bundle, tmp_path / "bundle", tmp_path / "codes")
    again = written(bundle, coded.path, coded.path)
    assert again.codes is not None
    np.testing.assert_array_equal(again.codes.codes, made.codes)


def test_bundle_of_an_earlier_release_is_dense(bundle: Bundle) -> None:
    assert bundle.manifest.item_table is None
    assert bundle.codes is None


def test_codes_and_manifest_come_together(bundle: Bundle, tmp_path: Path) -> None:
    saved(tmp_path / "codes")
    with pytest.raises(ValueError, match="codes need a manifest"):
        written(bundle, tmp_path / "bundle", tmp_path / "codes", stated=None)
    with pytest.raises(ValueError, match="codes need a manifest"):
        written(bundle, tmp_path / "bundle", None)


def test_codes_unlike_their_manifest_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    saved(tmp_path / "codes", splits=3)
    with pytest.raises(BundleError, match="3 codes of 8 bits an item, the manifest says 4 of 8"):
        written(bundle, tmp_path / "bundle", tmp_path / "codes")


def test_coded_bundle_without_one_of_the_files_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    saved(tmp_path / "codes")
    coded = written(bundle, tmp_path / "bundle", tmp_path / "codes")
    (coded.path / BOOKS).unlink()
    with pytest.raises(BundleError) as caught:
        load_bundle(coded.path)
    assert caught.value.reason == "missing_file"
    manifest = json.loads((coded.path / MANIFEST).read_bytes())
    del manifest["files"][BOOKS]
    (coded.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"says nothing about books\.npy"):
        load_bundle(coded.path)


def test_item_table_of_a_later_release_is_refused(bundle: Bundle, copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_bytes())
    manifest["item_table"] = {"form": "trees", "splits": 4, "code_bits": 8, "made_by": "svd"}
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError) as caught:
        load_bundle(copied)
    assert caught.value.reason == "bad_manifest"
