"""Which graph a model gets: int8 scoring where it gives the lists of exact scoring, exact scoring otherwise.

V catalogue, K the longest list.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.errors import ParityError
from export.graph.onnx import export_onnx
from export.graph.parity import ROUNDING, Likeness, check_parity, likeness

__all__ = [
    "INT8_FROM",
    "LEAST_IDENTICAL",
    "LEAST_SESSIONS",
    "MARGINS",
    "Scoring",
    "describe",
    "export_chosen",
    "export_vectors",
]

Scoring = Literal["auto", "exact"]

INT8_FROM = 4_096  # items: ranking fewer takes a millisecond or two for 256 sessions, whichever way
MARGINS = (12, 48)  # candidates more than exact scores need; the first that is enough
LEAST_SESSIONS = 1_000  # real ones; of fewer, a share of .999 says little
SCREENED = 4  # one session in so many, by the module, before its graph is compared on all
LEAST_IDENTICAL = 0.999  # share of lists of K on real sessions; a missing item is one from the end of a list

Build = Callable[[int | None], nn.Module]


def export_chosen(
    build: Build,
    path: Path | str,
    *,
    window: int,
    items: int,
    k: int,
    sessions: Sequence[NDArray[np.int32]],
    scoring: Scoring = "auto",
    seed: int = 0,
    near: float = ROUNDING,
    like: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the graph to be served to `path`, and return what its manifest says of its parity.

    build: gives the module to export, with exact scoring for None, else with int8 scoring of that margin, as
    `export_onnx` describes it. sessions: real ones, which decide with `auto`; with few of them scoring stays exact.
    near: scores that differ by less may change places in a list that counts as the same.
    like: what was said of a graph of the same training, whose choice is taken without another comparison.
    ParityError when the graph that is kept doesn't rank as its module does.
    """
    target = Path(path)
    checked = {"window": window, "items": items, "k": k, "seed": seed}
    found = None
    if scoring == "auto" and like is not None and like.get("scoring") == "int8":
        with contextlib.suppress(ParityError):  # then it is chosen anew
            margin = int(like["margin"])
            return {**_export(build(margin), target, **checked), "scoring": "int8", "margin": margin}
    if scoring == "auto" and items >= INT8_FROM and len(sessions) >= LEAST_SESSIONS and not _was_exact(like):
        exact = build(None)  # as it stands: translating it as well would take longer than ranking by it
        most = int((1.0 - LEAST_IDENTICAL) * len(sessions))
        compared = partial(likeness, exact, window=window, k=k, near=near, most=most)
        for margin in MARGINS:
            int8 = build(margin)
            found = compared(int8, sessions[::SCREENED])  # translated only where it is good enough as it stands
            if found.lists - found.alike > most:
                continue
            try:
                checks = _export(int8, target, **checked)
            except ParityError:  # a value rounded the other way by PyTorch can cost a narrow margin an item
                found = None
                continue
            found = compared(target, sessions)
            if found.share >= LEAST_IDENTICAL:
                return {**checks, "scoring": "int8", "margin": margin, **_compared(found)}
    checks = _export(build(None), target, **checked)
    return {**checks, "scoring": "exact", **({} if found is None else _compared(found))}


def export_vectors(module: nn.Module, path: Path | str, *, window: int, items: int, seed: int = 0) -> dict[str, Any]:
    """Write the graph of a coded model, which ends at the sessions' vectors; return and raise as `export_chosen`."""
    return {**_export(module, Path(path), window=window, items=items, k=1, seed=seed), "scoring": "codes"}


def describe(parity: dict[str, Any]) -> str:
    """Return in words which graph was chosen, and why."""
    if parity["scoring"] == "codes":
        return "scoring by codes, outside it"
    if parity.get("scanned"):
        return f"lists outside it where the scan runs, else {describe({**parity, 'scanned': False})}"
    if "identical" not in parity:
        return "scoring in int8, as the graph that was judged" if parity["scoring"] == "int8" else "scoring exactly"
    counted = f"{parity['identical']:.2%} of {parity['identical_of']:,} lists are those of exact scoring"
    return f"scoring {'in int8' if parity['scoring'] == 'int8' else 'exactly: in int8'} {counted}"


def _was_exact(like: Mapping[str, Any] | None) -> bool:
    """Whether a graph was compared, and scores exactly for it."""
    return like is not None and like.get("scoring") == "exact" and "identical" in like


def _export(module: nn.Module, path: Path, *, window: int, items: int, k: int, seed: int) -> dict[str, int | float]:
    export_onnx(module, path, window=window)
    return check_parity(module, path, window=window, items=items, k=k, seed=seed).to_dict()


def _compared(found: Likeness) -> dict[str, int | float]:
    """Return what decided: the share of int8 lists that were those of exact scoring, of how many, and what it takes."""
    return {"identical": found.share, "identical_of": found.lists, "least_identical": LEAST_IDENTICAL}
