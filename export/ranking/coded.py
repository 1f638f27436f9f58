"""A model of item codes: its graph gives a session's vector, and the scan makes the list of that.

B sessions, L positions, E exclusions a session, H hidden, C candidates, K asked for.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.errors import BundleError
from export.providers import Provider
from export.ranking.ragged import Ragged
from export.ranking.runtime import GraphRunner, Ran
from export.ranking.scanned import ScannedRunner, can_scan
from export.scan.scan import CodeScan

__all__ = ["CodedRunner", "open_runner"]

_NONE: Mapping[str, NDArray[Any]] = {}
_RANKS = frozenset({"exclude", "k", "also"})  # inputs of a dense graph that the scan takes in its place


def open_runner(bundle: Bundle, *, provider: Provider, threads: int, spin: bool) -> GraphRunner:
    """Return what ranks with a bundle, whichever form its items have; arguments and errors as `GraphRunner`."""
    if bundle.codes is None:
        if can_scan(bundle, provider):
            return ScannedRunner(bundle, threads=threads, spin=spin)
        return GraphRunner(bundle, provider=provider, threads=threads, spin=spin)
    return CodedRunner(bundle, provider=provider, threads=threads, spin=spin)


class CodedRunner(GraphRunner):
    """One loaded graph, and the scan of its bundle's codes. `run` may be called from any thread, also at once."""

    def __init__(self, bundle: Bundle, *, provider: Provider, threads: int, spin: bool) -> None:
        """Load the graph and lay out the codes; the scan runs on the CPU, on `threads` cores, whatever the provider."""
        super().__init__(bundle, provider=provider, threads=threads, spin=spin)
        if bundle.codes is None:
            raise ValueError(f"the items of model {bundle.version} are no codes")
        if self._outputs != ["vectors"] or _RANKS & self.takes:
            raise BundleError("bad_model", f"{bundle.onnx_path} ranks, but the items of its bundle are codes")
        if "fresh" in self.takes or bundle.tower_path is not None:
            raise BundleError(
                "bad_model", f"model {bundle.version} has both codes and an item tower: one or the other gives vectors"
            )
        self._codes = bundle.codes
        self._scan = CodeScan(bundle.codes, threads=threads)
        self.takes = self.takes | _RANKS
        self.row_cells = self._codes.splits * self._codes.values

    def run(
        self, ids: NDArray[np.int32], exclude: NDArray[np.int32], k: int, others: Mapping[str, NDArray[Any]] = _NONE
    ) -> Ran:
        """Return what a graph that ranks would: see `GraphRunner.run`. ValueError for vectors that are no numbers."""
        given = {"ids": ids, **{name: array for name, array in others.items() if name != "also"}}
        tables = self._codes.table(self._run(given)["vectors"])  # (B, m, 2^b)
        rows = Ragged(exclude.ravel(), np.full(len(exclude), exclude.shape[1]))
        top_ids, top_scores = self._scan.best(tables, k, rows)
        also = others.get("also")
        return Ran(top_ids, top_scores, None if also is None else self._scan.scores(tables, also))
