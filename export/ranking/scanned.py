"""A dense model ranked outside its graph: a small one gives a session's vector, and the dense scan makes the list.

The item tables stay where they are, in the file of the graph that ranks, which is not opened then.

B sessions, L positions, E exclusions a session, C candidates, V items, X fresh vectors, W_p width of a part,
K asked for.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.afterwards import AfterwardsConfig, config_of
from export.bundle.bundle import Bundle
from export.bundle.manifest import ItemTable
from export.bundle.vocabulary import PAD
from export.errors import BundleError, ConfigError
from export.providers import Provider
from export.ranking.ragged import Ragged
from export.ranking.runtime import GraphRunner, Ran
from export.scan.loading import load_scan

__all__ = ["ScannedRunner", "can_scan"]

_log = logging.getLogger(__name__)
_NONE: Mapping[str, NDArray[Any]] = {}
_COUNTS = np.int32, np.float32  # neighbours and weights
_OF_LISTS = frozenset({"exclude", "k", "also"})  # what the scan takes in the graph's place


def can_scan(bundle: Bundle, provider: Provider) -> bool:
    """Whether lists of a dense bundle are made by the scan here, or inside its graph."""
    if provider != "cpu" or bundle.sessions_path is None or not _tables_of(bundle):
        return False
    if told := load_scan(coded=False):
        _log.info("%s", told)
    try:
        from export.dense import kernel
    except ImportError as error:
        _log.info(
            "model %s lists inside its graph; with numba (pip install 'nextclick[codes]') lists take less; %s",
            bundle.version,
            error,
        )
        return False
    return bool(kernel.ways())


class ScannedRunner(GraphRunner):
    """One loaded graph, and the scan of its bundle's items. `run` may be called from any thread, also at once."""

    def __init__(self, bundle: Bundle, *, threads: int, spin: bool) -> None:
        """Load the graph and round the items. BundleError `bad_model` where they are not what the manifest says."""
        from export.dense.layered import LayeredScan
        from export.dense.scan import ROOM, DenseScan

        super().__init__(bundle, provider="cpu", threads=threads, spin=spin, graph=bundle.sessions_path)
        self._tables = _mapped(bundle)
        try:
            layer, counts = _layer_of(bundle)
            self._tables, known = self._tables[: len(self._tables) - counts], self._tables[len(self._tables) - counts :]
            self._scan = DenseScan(self._tables, threads=threads)
            self._layered = None if layer is None else LayeredScan(self._scan, layer, *_counts(known))
        except (ConfigError, ValueError, TypeError) as error:
            raise BundleError("bad_model", f"{bundle.onnx_path}: {error}") from error
        self._known = len(bundle.vocabulary)
        if self.hidden not in (0, self._scan.hidden):
            raise BundleError("bad_model", f"{bundle.sessions_path} takes vectors of {self.hidden}, not as items have")
        self.takes = self.takes | _OF_LISTS | ({"rows"} if self.hidden else set())
        self.row_cells = 2 * ROOM + self._scan.hidden
        if self._layered is not None:
            self.row_cells += self._layered.cells(bundle.manifest.window)

    def run(
        self, ids: NDArray[np.int32], exclude: NDArray[np.int32], k: int, others: Mapping[str, NDArray[Any]] = _NONE
    ) -> Ran:
        """Return what a graph that ranks would: see `GraphRunner.run`. ValueError for vectors that are no numbers."""
        given = {name: array for name, array in others.items() if name not in ("also", "rows")}
        vectors = self._run({"ids": ids, **given})["vectors"]  # (B, H)
        barred = Ragged(exclude.ravel(), np.full(len(exclude), exclude.shape[1]))
        changed = None if self._layered is None else self._layered.changed(ids)
        if self._layered is None or changed is None:
            top_ids, top_scores = self._scan.best(vectors, k, barred)
        else:
            top_ids, top_scores = self._layered.best(vectors, k, barred, changed)
        also, fresh, rows = others.get("also"), others.get("fresh"), others.get("rows")
        also_scores = None if also is None else self._also(vectors, also, fresh)
        fresh_scores = None if fresh is None else vectors @ fresh.T
        if self._layered is not None and changed is not None:
            if also is not None and also_scores is not None:
                self._layered.change(also_scores, also, changed)
            if fresh_scores is not None:
                self._layered.change_fresh(fresh_scores, changed)
        of_rows = None if rows is None else np.concatenate([table[rows] for table in self._tables], axis=1)
        return Ran(top_ids, top_scores, also_scores, None, fresh_scores, of_rows)

    def _also(
        self, vectors: NDArray[np.float32], also: NDArray[np.int32], fresh: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the scores (B, C) of catalogue ids, those above V of the fresh vectors."""
        newer = also > self._known
        found = self._scan.scores(vectors, np.where(newer, np.int32(PAD), also))
        if fresh is not None and newer.any():
            found[:, newer] = vectors @ fresh[also[newer] - self._known - 1].T
        return found


def _mapped(bundle: Bundle) -> list[NDArray[np.float32]]:
    """Return the item tables (V + 1, W_p) as they lie in their file; BundleError `bad_model` where they can't."""
    rows, size = len(bundle.vocabulary) + 1, bundle.onnx_path.stat().st_size
    for table in _tables_of(bundle):
        if table.width < 1 or table.at < 0 or table.at + 4 * rows * table.width > size:
            raise BundleError("bad_model", f"{bundle.onnx_path} has no item table of {rows} rows at {table.at}")
    return [
        np.memmap(bundle.onnx_path, "<f4", "r", offset=table.at, shape=(rows, table.width))
        for table in _tables_of(bundle)
    ]


def _tables_of(bundle: Bundle) -> tuple[ItemTable, ...]:
    return bundle.manifest.layered or bundle.manifest.tables


def _layer_of(bundle: Bundle) -> tuple[AfterwardsConfig | None, int]:
    """Return the layer that stands behind the scan, and how many of the tables are its own."""
    if not bundle.manifest.layered:
        return None, 0
    layer = config_of(bundle.manifest.afterwards)
    own = len(_COUNTS) if layer.counts else 0
    if len(bundle.manifest.layered) <= own:
        raise ValueError("the manifest has no tables of what the layer counts, or none of the items")
    return layer, own


def _counts(tables: list[NDArray[np.float32]]) -> list[NDArray[Any]]:
    """Return neighbours and their weights, as they are in a file; nothing for nothing."""
    return [table.view(kind) for table, kind in zip(tables, _COUNTS, strict=False)]
