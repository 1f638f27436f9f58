"""The manifest of a bundle: what the model is, what it was trained on, and the hash of every file beside it."""

from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from export.errors import BundleError

__all__ = [
    "FORMAT_VERSION",
    "MAX_WINDOW",
    "UNPUBLISHED",
    "Coded",
    "FileEntry",
    "ItemTable",
    "Lineage",
    "Manifest",
    "Refit",
    "TrainingWindow",
]

FORMAT_VERSION = 1  # of the bundle's layout; a reader refuses any other
MAX_WINDOW = 4_096  # of clicks: a worker warms up with rows as long
UNPUBLISHED = "0"  # the version of a bundle that no registry has numbered yet

_T = TypeVar("_T")


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What one file of the bundle must be."""

    sha256: str  # lower-case hexadecimal
    bytes: int  # size


class TrainingWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The clicks a model was trained on."""

    first_ts: int  # ms since epoch, oldest click
    last_ts: int  # ms since epoch, newest click
    sessions: int
    clicks: int


class Refit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the published weights have learned the clicks that the model was judged on."""

    refitted: bool  # true: `valid` of the manifest, and the gate's figures, are of the weights before that
    how: str = ""  # scratch, or continue: how the newest clicks were learned as well
    why: str = ""  # what speaks against the refitted weights, where the judged ones were published instead
    overlap: float | None = None  # of the lists before and after, mean share of the same items among 20
    longer: float | None = None  # times as many sessions they learned, passes counted, as those that were judged
    recall: float | None = None  # Recall@20 of the refitted weights on what they have learned now: no measure of theirs


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from."""

    code: str = ""  # version of nextclick
    commit: str = ""  # of the checkout that trained, where it was one; ends in + where that was changed
    cycle: str = ""  # of the trainer, which publishes once a cycle; empty: trained by hand
    mode: str = "full"  # full: the whole window; fresh: what was new, on top of the parent
    parent: str = ""  # version whose weights this one began with; empty: from scratch
    live: str = ""  # version that was served then, and was judged beside it
    window: dict[str, Any] = {}  # where the clicks were read: topic, offsets, parts
    gate: dict[str, Any] = {}  # the judgement by which it was published
    refit: Refit | None = None
    seconds: float = 0.0  # that the cycle took, in the run of it that published


class Coded(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a model that has codes of them (export/codes/codes.py), in `codes.npy` and `books.npy`."""

    splits: int  # m, codes an item
    code_bits: int  # b, bits a code
    made_by: str  # what made the codes: svd, svd-plain, bpr or random
    form: Literal["codes"] = "codes"  # any other is of a later release


class ItemTable(msgspec.Struct, frozen=True, kw_only=True):
    """Where the vectors of a dense model's items, or a part of their width, lie in `model.onnx`: rows of fp32, row 0
    padding, for who ranks outside that graph (export/dense). Or what a layer knows of them, in numbers of 4 bytes."""

    at: int  # bytes before them
    width: int  # W_p, numbers of a row


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `manifest.json`. Unknown fields are ignored: a newer writer of this format stays readable."""

    format_version: int = FORMAT_VERSION
    version: str = UNPUBLISHED  # decimal number given by the registry
    created_ts: int  # ms since epoch
    preset: str  # name of the composition trained
    config: dict[str, Any]  # the training configuration, plain JSON values
    items: int  # V, catalogue size without padding
    window: int  # newest clicks of a session that the graph reads
    k_max: int  # length of the lists the graph returns
    training: TrainingWindow
    valid: dict[str, float]  # metrics of the exported graph on the validation sessions
    baselines: dict[str, dict[str, float]]  # baseline -> its metrics on the same sessions
    parity: dict[str, Any]  # how closely the graph agrees with PyTorch
    libraries: dict[str, str]  # library -> version that trained and exported
    lineage: Lineage | None = None  # None: of a release that kept none
    item_table: Coded | None = None  # None: dense, inside the graph
    # The layer behind the network (export/graph/after.py), and what it gained; {}: none
    afterwards: dict[str, Any] = {}
    tables: tuple[ItemTable, ...] = ()  # with `sessions.onnx`: side by side they are the items' vectors
    # The same of a model with a layer, which a release that knows `tables` alone would leave out; where the layer has
    # counts, neighbours (int32) and their weights (fp32) come last
    layered: tuple[ItemTable, ...] = ()
    files: dict[str, FileEntry] = {}  # every other file of the bundle

    def to_bytes(self) -> bytes:
        """Return the content of `manifest.json`: indented UTF-8 JSON, the same bytes for the same manifest."""
        content = msgspec.json.encode(self, enc_hook=_plain, order="deterministic")
        return msgspec.json.format(content, indent=2) + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read `manifest.json`; BundleError `format_version` for another format, `bad_manifest` when unreadable."""
        found = _decode(content, _Format).format_version
        if found != FORMAT_VERSION:
            raise BundleError("format_version", f"bundle format {found}; this release reads format {FORMAT_VERSION}")
        manifest = _decode(content, cls)
        if manifest.window > MAX_WINDOW:
            raise BundleError("bad_manifest", f"manifest.json: a window of {manifest.window}; at most {MAX_WINDOW}")
        if manifest.items < 1 or manifest.window < 1 or not 1 <= manifest.k_max <= manifest.items:
            raise BundleError("bad_manifest", "manifest.json: items, window and k_max must be positive, k_max <= items")
        return manifest


def _plain(value: object) -> object:
    """Turn what training code holds into what JSON has: numpy scalars, and strings such as torch's version."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"the manifest can't hold a {type(value).__name__}")


class _Format(msgspec.Struct):
    """The one field that every format version has."""

    format_version: int


def _decode(content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError("bad_manifest", f"manifest.json can't be read: {error}") from error
