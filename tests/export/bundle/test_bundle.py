"""Tests of export/bundle/bundle.py."""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.rig.toy import ITEMS as V
from bench.rig.toy import toy_manifest, toy_vocabulary
from export.bundle import bundle as bundle_module
from export.bundle.bundle import ITEMS, MANIFEST, MODEL, POPULARITY, Bundle, load_bundle
from export.bundle.files import replace_file
from export.bundle.manifest import FileEntry
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.errors import BundleError

COUNTS = np.arange(1, V + 1, dtype=np.int64)


def reason(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert str(caught.value)
    return caught.value.reason


def edit(path: Path, **fields: Any) -> None:
    manifest = json.loads((path / MANIFEST).read_bytes())
    (path / MANIFEST).write_text(json.dumps({**manifest, **fields}))


def rehash(path: Path, name: str) -> None:
    """Make the manifest agree with a file that was replaced."""
    content = (path / name).read_bytes()
    files = json.loads((path / MANIFEST).read_bytes())["files"]
    files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(path, files=files)


def test_bundle_written_and_loaded_is_the_same(bundle: Bundle, copied: Path) -> None:
    loaded = load_bundle(copied)
    assert loaded.manifest == bundle.manifest
    assert loaded.vocabulary == toy_vocabulary()
    assert loaded.popularity.tolist() == COUNTS.tolist()
    assert loaded.manifest_sha256 == hashlib.sha256((copied / MANIFEST).read_bytes()).hexdigest()
    assert loaded.onnx_path == copied / MODEL
    assert loaded.version == "0"
    assert sorted(path.name for path in copied.iterdir()) == sorted([MODEL, ITEMS, POPULARITY, MANIFEST])


def test_manifest_holds_hash_and_size_of_every_other_file(bundle: Bundle) -> None:
    assert set(bundle.manifest.files) == {MODEL, ITEMS, POPULARITY}
    content = bundle.onnx_path.read_bytes()
    assert bundle.manifest.files[MODEL] == FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def test_loaded_popularity_can_not_be_written(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="read-only"):
        bundle.popularity[0] = 1


@pytest.mark.parametrize("name", [MODEL, ITEMS, POPULARITY, MANIFEST])
def test_load_without_a_file_names_it_missing(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert reason(copied) == "missing_file"


def test_load_of_no_directory_says_so(tmp_path: Path) -> None:
    assert reason(tmp_path / "absent") == "missing_directory"


@pytest.mark.parametrize("name", [MODEL, ITEMS, POPULARITY])
def test_load_of_a_truncated_file_says_so(copied: Path, name: str) -> None:
    os.truncate(copied / name, (copied / name).stat().st_size - 1)
    assert reason(copied) == "truncated"


@pytest.mark.parametrize("name", [MODEL, ITEMS, POPULARITY])
def test_load_of_an_altered_file_of_the_same_size_says_so(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert reason(copied) == "altered"


def test_load_of_a_grown_file_says_altered(copied: Path) -> None:
    with open(copied / MODEL, "ab") as file:
        file.write(b"x")
    assert reason(copied) == "altered"


def test_load_of_another_format_version_says_so(copied: Path) -> None:
    edit(copied, format_version=2)
    assert reason(copied) == "format_version"


def test_load_of_a_manifest_that_is_not_json_says_so(copied: Path) -> None:
    (copied / MANIFEST).write_bytes(b'{"format_version": 1,')
    assert reason(copied) == "bad_manifest"


def test_load_of_a_manifest_without_a_file_says_so(copied: Path) -> None:
    edit(copied, files={})
    assert reason(copied) == "bad_manifest"


@pytest.mark.parametrize("content", [b"nonsense", b'["a", "b"]'])
def test_load_of_a_bad_vocabulary_with_the_right_hash_says_so(copied: Path, content: bytes) -> None:
    (copied / ITEMS).write_bytes(content)
    rehash(copied, ITEMS)
    assert reason(copied) == "bad_vocabulary"


@pytest.mark.parametrize("counts", [COUNTS[:-1], COUNTS.astype(np.float64), -COUNTS, COUNTS.reshape(2, -1)])
def test_load_of_bad_popularity_with_the_right_hash_says_so(copied: Path, counts: Any) -> None:
    np.save(copied / POPULARITY, counts)
    rehash(copied, POPULARITY)
    assert reason(copied) == "bad_popularity"


@pytest.mark.parametrize("damage", [b"nonsense", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<i8', ", b"zip", b"huge"])
def test_load_of_popularity_that_is_no_array_says_so(copied: Path, damage: bytes) -> None:
    path = copied / POPULARITY
    if damage == b"zip":
        with path.open("wb") as file:
            np.savez(file, counts=COUNTS)
    elif damage == b"huge":
        path.write_bytes(path.read_bytes().replace(f"({V},)".encode(), b"(%d,)" % 10**15))
    else:
        path.write_bytes(damage)
    rehash(copied, POPULARITY)
    assert reason(copied) == "bad_popularity"


def test_load_of_a_window_that_would_take_all_memory_says_so(copied: Path) -> None:
    edit(copied, window=10**12)
    assert reason(copied) == "bad_manifest"


def test_load_never_unpickles(copied: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(copied / "executed"),)

    np.save(copied / POPULARITY, np.array([Trap()] * V, dtype=object), allow_pickle=True)
    shutil.rmtree(copied / "executed", ignore_errors=True)
    rehash(copied, POPULARITY)
    assert reason(copied) == "bad_popularity"
    (copied / POPULARITY).write_bytes(pickle.dumps(Trap()))
    rehash(copied, POPULARITY)
    assert reason(copied) == "bad_popularity"
    assert not (copied / "executed").exists()


@pytest.mark.parametrize(
    ("vocabulary", "counts"),
    [(Vocabulary("ab"), COUNTS), (toy_vocabulary(), COUNTS[:3]), (toy_vocabulary(), COUNTS.astype(np.int32))],
)
def test_write_of_parts_that_do_not_fit_is_refused(
    bundle: Bundle, tmp_path: Path, vocabulary: Vocabulary, counts: Any
) -> None:
    with pytest.raises(ValueError, match=r"items|popularity"):
        write_bundle(
            tmp_path / "new",
            onnx_file=bundle.onnx_path,
            vocabulary=vocabulary,
            popularity=counts,
            manifest=toy_manifest(),
        )
    assert not (tmp_path / "new").exists()


def test_write_without_the_graph_leaves_no_valid_bundle(copied: Path) -> None:
    with pytest.raises(BundleError) as caught:
        write_bundle(
            copied,
            onnx_file=copied / "absent.onnx",
            vocabulary=toy_vocabulary(),
            popularity=COUNTS,
            manifest=toy_manifest(),
        )
    assert caught.value.reason == "write_failed"
    assert reason(copied) == "missing_file"


def test_write_of_a_graph_already_in_place_keeps_it(copied: Path) -> None:
    written = write_bundle(
        copied, onnx_file=copied / MODEL, vocabulary=toy_vocabulary(), popularity=COUNTS, manifest=toy_manifest()
    )
    assert written.manifest.files[MODEL] == load_bundle(copied).manifest.files[MODEL]


def test_replace_file_that_fails_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    replace_file(target, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_vocabulary_of_another_bundle_in_use_is_taken_where_it_is_the_same(copied: Path, bundle: Bundle) -> None:
    one = load_bundle(copied)
    assert one.vocabulary is bundle.vocabulary
    edit(copied, items=V + 1)
    assert reason(copied) == "bad_vocabulary"
    (copied / ITEMS).write_bytes(Vocabulary([*toy_vocabulary().items[:-1], "another"]).to_bytes())
    rehash(copied, ITEMS)
    edit(copied, items=V)
    assert load_bundle(copied).vocabulary.item(V) == "another"


def test_popularity_of_a_large_catalogue_stays_in_its_file(
    copied: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    monkeypatch.setattr(bundle_module, "_MAPPED_FROM", 0)
    loaded = load_bundle(copied)
    assert loaded.popularity.tolist() == COUNTS.tolist()
    with pytest.raises(ValueError, match="read-only"):
        loaded.popularity[0] = 1
    written = write_bundle(
        copied, onnx_file=copied / MODEL, vocabulary=toy_vocabulary(), popularity=COUNTS * 2, manifest=bundle.manifest
    )
    assert written.popularity.tolist() == (COUNTS * 2).tolist()
    assert loaded.popularity.tolist() == COUNTS.tolist()  # whoever mapped it goes on with what it was
    for damage in (b"", b"\x93NUMPY", (copied / POPULARITY).read_bytes()[:-1]):
        (copied / POPULARITY).unlink()
        (copied / POPULARITY).write_bytes(damage)
        rehash(copied, POPULARITY)
        assert reason(copied) == "bad_popularity"
