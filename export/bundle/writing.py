"""How a bundle is written: its files first, the manifest with their hashes last."""

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import (
    CARDS,
    FEATURES,
    ITEMS,
    KNOWN,
    MANIFEST,
    MODEL,
    OF_CODES,
    OF_TOWER,
    POPULARITY,
    REQUIRED,
    SESSIONS,
    TOWER,
    VECTORS,
    Bundle,
    load_bundle,
)
from export.bundle.files import replace_file
from export.bundle.manifest import FileEntry, Manifest
from export.bundle.vocabulary import Vocabulary
from export.errors import BundleError
from export.items.features import FeatureVocabulary

__all__ = ["write_bundle"]


def write_bundle(
    directory: Path | str,
    *,
    onnx_file: Path | str,
    vocabulary: Vocabulary,
    popularity: NDArray[np.int64],
    manifest: Manifest,
    tower_file: Path | str | None = None,
    features: FeatureVocabulary | None = None,
    known_file: Path | str | None = None,
    vectors_file: Path | str | None = None,
    sessions_file: Path | str | None = None,
    codes_in: Path | str | None = None,
    cards_in: Path | str | None = None,
) -> Bundle:
    """Write a bundle into `directory` (made if absent) and return it as read back; `manifest.files` is filled in here.

    popularity (V,) int64: clicks of catalogue ids 1..V. tower_file and features: both, or neither. known_file: what
    `export.ranking.known_features.write_known` wrote. vectors_file: what `export.ranking.similar.write_vectors` wrote.
    sessions_file: what `export.graph.beside.export_beside` wrote beside onnx_file.
    codes_in: the folder that `ItemCodes.save` wrote into, where the manifest has an `item_table`. cards_in: the folder
    with the model's card, two files. The manifest is written last, so that an interrupted write is never a valid
    bundle. ValueError when the parts don't fit each other;
    BundleError `write_failed` when the disk does not take it.
    """
    _check_fit(vocabulary, popularity, manifest)
    if (tower_file is None) != (features is None):
        raise ValueError("a tower needs its features, and features a tower")
    if (codes_in is None) != (manifest.item_table is None):
        raise ValueError("codes need a manifest that says so, and a manifest that says so codes")
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).unlink(missing_ok=True)
        _copy(Path(onnx_file), target / MODEL)
        names: tuple[str, ...] = REQUIRED
        if tower_file is not None and features is not None:
            _copy(Path(tower_file), target / TOWER)
            (target / FEATURES).write_bytes(features.to_bytes())
            names += OF_TOWER
        for given, name in ((known_file, KNOWN), (vectors_file, VECTORS), (sessions_file, SESSIONS)):
            if given is not None:
                _copy(Path(given), target / name)
                names += (name,)
        if codes_in is not None:
            for name in OF_CODES:  # a bundle written again in its place has them mapped into memory: files, not arrays
                _copy(Path(codes_in) / name, target / name)
            names += OF_CODES
        if cards_in is not None:
            for name in CARDS:
                _copy(Path(cards_in) / name, target / name)
            names += CARDS
        (target / ITEMS).write_bytes(vocabulary.to_bytes())
        replace_file(target / POPULARITY, _npy(popularity))  # the one before may be mapped into memory
        files = {name: _entry(target / name) for name in names}
        replace_file(target / MANIFEST, msgspec.structs.replace(manifest, files=files).to_bytes())
    except OSError as error:
        raise BundleError("write_failed", f"the bundle can't be written to {target}: {error}") from error
    return load_bundle(target)


def _copy(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)


def _check_fit(vocabulary: Vocabulary, popularity: NDArray[Any], manifest: Manifest) -> None:
    if len(vocabulary) != manifest.items:
        raise ValueError(f"the manifest says {manifest.items} items, the vocabulary has {len(vocabulary)}")
    if popularity.shape != (manifest.items,) or popularity.dtype != np.int64 or (popularity < 0).any():
        raise ValueError(f"popularity must be {manifest.items} non-negative int64 counts, one an item")


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _entry(path: Path) -> FileEntry:
    with open(path, "rb") as file:
        return FileEntry(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)
