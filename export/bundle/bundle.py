"""The bundle: a directory that holds one trained model, complete, with the hash of everything in it.

    model.onnx      ids and exclusions -> top-k, all in one graph
    items.json      the vocabulary: shop ids in catalogue order
    popularity.npy  clicks of each item in the training window, for the fallback list
    tower.onnx      features -> vector of an item that the vocabulary lacks, where the model has an item tower
    features.json   what its features stand for
    known.npy       features that its items had, by which changed ones are found
    vectors.npy     unit vectors of the items, for similar items
    sessions.onnx   ids -> a session's vector, of a dense model whose lists may be made outside its graph (export/dense)
    codes.npy       codes of the items, where the graph ends at a session's vector (export/codes/codes.py)
    books.npy       what they stand for
    card.md         the model's card: data, figures beside baselines, curves, limits
    card.json       the same as values
    manifest.json   what it is, and sha256 and size of the others

V is the number of items.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from export.bundle.files import open_regular, parts_of, read_small, sha256_of
from export.bundle.manifest import FileEntry, Manifest
from export.bundle.vocabulary import Vocabulary
from export.codes.codes import BOOKS, CODES, ItemCodes
from export.errors import BundleError
from export.items.features import FeatureVocabulary
from export.npy import one_at_a_time

__all__ = [
    "CARD",
    "CARDS",
    "CARD_VALUES",
    "FEATURES",
    "ITEMS",
    "KNOWN",
    "MANIFEST",
    "MAX_MANIFEST",
    "MODEL",
    "OF_CODES",
    "OF_TOWER",
    "OPTIONAL",
    "POPULARITY",
    "REQUIRED",
    "SESSIONS",
    "TOWER",
    "VECTORS",
    "Bundle",
    "is_whole",
    "load_bundle",
    "stated_sizes",
]

MODEL = "model.onnx"
ITEMS = "items.json"
POPULARITY = "popularity.npy"
TOWER = "tower.onnx"
FEATURES = "features.json"
KNOWN = "known.npy"
VECTORS = "vectors.npy"
SESSIONS = "sessions.onnx"  # whose larger weights lie in model.onnx
CARD = "card.md"
CARD_VALUES = "card.json"
MANIFEST = "manifest.json"
MAX_MANIFEST = 16 << 20  # bytes; real ones have a few thousand
REQUIRED = (MODEL, ITEMS, POPULARITY)
OF_TOWER = (TOWER, FEATURES)
OF_CODES = (CODES, BOOKS)
CARDS = (CARD, CARD_VALUES)
OPTIONAL = (
    *OF_TOWER,
    KNOWN,
    VECTORS,
    SESSIONS,
    *OF_CODES,
    *CARDS,
)  # there if the manifest says so; a release that does not know them serves without
_AGAIN = "a copy or a disk went wrong: copy the version again from where it is sound, or publish the model again"
_MAPPED_FROM = 1 << 20  # bytes of popularity.npy that stay in the file
_vocabularies: WeakValueDictionary[str, Vocabulary] = WeakValueDictionary()  # that are in use, by sha256 of the file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A bundle whose files have been verified."""

    path: Path  # its directory
    manifest: Manifest
    vocabulary: Vocabulary
    popularity: NDArray[np.int64]  # (V,) clicks of catalogue ids 1..V
    onnx_path: Path
    manifest_sha256: str  # of manifest.json, which an announcement carries
    tower_path: Path | None = None  # of the graph that gives an item without clicks its vector
    features: FeatureVocabulary | None = None  # what that graph is fed with
    known_path: Path | None = None  # of the features of its items (`export/ranking/known_features.py`)
    vectors_path: Path | None = None  # of the items' unit vectors, for similar items (`export/ranking/similar.py`)
    sessions_path: Path | None = None  # of the graph that gives a dense model's sessions their vectors
    codes: ItemCodes | None = None  # of a coded model, whose graph ends at a session's vector; None: of a dense one

    @property
    def has_card(self) -> bool:
        """Whether it has its model's card, `card.md` and `card.json`."""
        return set(CARDS) <= set(self.manifest.files)

    @property
    def version(self) -> str:
        """The registry's number of it, "0" before it is published."""
        return self.manifest.version


def load_bundle(path: Path | str) -> Bundle:
    """Return the bundle in directory `path`, after verifying format version, presence, size and sha256 of every file.

    BundleError with its `reason` when anything is amiss, in a time and memory that the manifest bounds. No file is ever
    unpickled.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise BundleError("missing_directory", f"there is no bundle directory {directory}")
    content = _read(directory / MANIFEST, MAX_MANIFEST)
    manifest = Manifest.from_bytes(content)
    names = _files(manifest)
    for name in names:
        _verify(directory / name, manifest)
    has_tower = set(OF_TOWER) <= set(names)
    return Bundle(
        path=directory,
        manifest=manifest,
        vocabulary=_vocabulary(directory, manifest),
        popularity=_popularity(directory, manifest),
        onnx_path=directory / MODEL,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        tower_path=directory / TOWER if has_tower else None,
        features=_features(_read(directory / FEATURES, _expected(FEATURES, manifest).bytes)) if has_tower else None,
        known_path=directory / KNOWN if has_tower and KNOWN in names else None,
        vectors_path=directory / VECTORS if VECTORS in names else None,
        sessions_path=directory / SESSIONS if SESSIONS in names else None,
        codes=_codes(directory, manifest),
    )


def stated_sizes(manifest: bytes) -> dict[str, int]:
    """Return the bytes of each file beside `manifest.json`, by its content; BundleError where it doesn't say."""
    read = Manifest.from_bytes(manifest)
    return {name: _expected(name, read).bytes for name in _files(read)}


def is_whole(directory: Path) -> bool:
    """Return whether every file is there, as the manifest beside it describes it."""
    try:
        manifest = Manifest.from_bytes(_read(directory / MANIFEST, MAX_MANIFEST))
        for name in _files(manifest):
            _verify(directory / name, manifest)
    except BundleError:
        return False
    return True


def _files(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the files that a bundle has beside its manifest."""
    return REQUIRED + tuple(name for name in OPTIONAL if name in manifest.files)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BundleError("missing_file", f"{path} is missing") from error
    except OSError as error:
        raise BundleError("missing_file", f"{path} can't be read: {error}") from error


def _read(path: Path, limit: int) -> bytes:
    with _reading(path):
        return read_small(path, limit)


def _expected(name: str, manifest: Manifest) -> FileEntry:
    expected = manifest.files.get(name)
    if expected is None:
        raise BundleError("bad_manifest", f"manifest.json says nothing about {name}")
    return expected


def _verify(path: Path, manifest: Manifest) -> None:
    """Raise BundleError unless it is the file of its manifest; what can't be is found before anything is read."""
    expected = _expected(path.name, manifest)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            found = sha256_of(file, expected.bytes) if size == expected.bytes else ""
    except OSError as error:
        raise BundleError("missing_file", f"{path} is missing or can't be read: {error}") from error
    if size < expected.bytes:
        raise BundleError("truncated", f"{path} has {size} bytes of {expected.bytes}: {_AGAIN}")
    if size > expected.bytes:
        raise BundleError("altered", f"{path} has {size} bytes, its manifest says {expected.bytes}: {_AGAIN}")
    if found != expected.sha256:
        raise BundleError("altered", f"{path} is not the file its manifest describes (sha256 differs): {_AGAIN}")


def _vocabulary(directory: Path, manifest: Manifest) -> Vocabulary:
    """Return the vocabulary; the one of another bundle that is in use where both have the same file."""
    stated = _expected(ITEMS, manifest)
    vocabulary = _vocabularies.get(stated.sha256)
    if vocabulary is None:
        try:
            with _reading(directory / ITEMS), open_regular(directory / ITEMS) as file:
                vocabulary = Vocabulary.read(file, stated.bytes)
        except ValueError as error:
            raise BundleError("bad_vocabulary", f"{ITEMS}: {error}") from error
        _vocabularies[stated.sha256] = vocabulary
    if len(vocabulary) != manifest.items:
        raise BundleError("bad_vocabulary", f"{ITEMS} has {len(vocabulary)} items, the manifest says {manifest.items}")
    return vocabulary


def _codes(directory: Path, manifest: Manifest) -> ItemCodes | None:
    stated = manifest.item_table
    if stated is None:
        return None
    for name in OF_CODES:
        _expected(name, manifest)
    codes = ItemCodes.load(directory, items=manifest.items)
    if (codes.splits, codes.code_bits) != (stated.splits, stated.code_bits):
        raise BundleError(
            "bad_codes",
            f"{CODES} has {codes.splits} codes of {codes.code_bits} bits an item, the manifest says {stated.splits} of "
            f"{stated.code_bits}",
        )
    return codes


def _features(content: bytes) -> FeatureVocabulary:
    try:
        return FeatureVocabulary.from_bytes(content)
    except ValueError as error:
        raise BundleError("bad_features", f"{FEATURES}: {error}") from error


def _popularity(directory: Path, manifest: Manifest) -> NDArray[np.int64]:
    path, size = directory / POPULARITY, _expected(POPULARITY, manifest).bytes
    content = _read(path, size) if size < _MAPPED_FROM else b""
    try:
        counts: NDArray[Any] = one_at_a_time(
            lambda: (
                np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
                if content
                else np.lib.format.open_memmap(path, mode="r")
            )
        )
    except Exception as error:  # a damaged header raises whatever Python's tokenizer and numpy come across
        raise BundleError("bad_popularity", f"{POPULARITY}: {error}") from error
    sound = counts.shape == (manifest.items,) and counts.dtype == np.int64
    if not sound or any((part < 0).any() for part in parts_of(counts)):
        raise BundleError("bad_popularity", f"{POPULARITY} must be {manifest.items} non-negative int64 counts")
    counts.setflags(write=False)
    return counts
