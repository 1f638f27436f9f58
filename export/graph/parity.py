"""The parity checks: does a graph rank as PyTorch does, at sizes it was not traced with, and do two graphs rank alike?

B sessions, L positions, E exclusions a session, V catalogue, K compared; the ports are `export/bundle/interface.py`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from export.bundle.bundle import Bundle
from export.bundle.interface import INPUTS, REQUIRED_OUTPUTS, VECTOR_OUTPUTS, Port, feeds
from export.bundle.vocabulary import PAD
from export.errors import ConfigError, ParityError
from export.events import KINDS
from export.graph.onnx import ports_of
from export.ranking.ragged import padded

__all__ = ["ROUNDING", "Likeness", "ParityReport", "check_parity", "likeness"]

_BATCHES = (1, 2, 7, 33)
_AT_ONCE = 128  # sessions that two graphs rank in one run
ROUNDING = 1e-5  # scores this close, absolute and relative, are a tie: sums in another order differ as much
_Lists = tuple[NDArray[np.int32], NDArray[np.float32]]  # ids (B, K) and scores (B, K)


class ParityReport(msgspec.Struct, frozen=True, kw_only=True):
    """How closely the graph agrees with PyTorch."""

    lists: int  # compared
    shapes: int  # different (B, L, E) they came in
    k: int  # places compared in each list
    tolerance: float  # largest difference of scores allowed, absolute and relative
    max_score_difference: float  # largest found, at the same place
    swapped: int  # places whose ids differ, all of them ties within the tolerance

    def to_dict(self) -> dict[str, int | float]:
        """Return the report as plain values, for the manifest."""
        return msgspec.structs.asdict(self)


def check_parity(
    serving: nn.Module,
    graph: Bundle | Path | str,
    *,
    window: int,
    items: int,
    k: int,
    seed: int = 0,
    tolerance: float = 1e-4,
) -> ParityReport:
    """Compare graph and module on random sessions with exclusions at several B and L, 1 and the window among them.

    serving: the module that was exported, on any device, as `export_onnx` describes it; items: V; k: places compared.
    Ids must agree in order; they may differ only where PyTorch's scores tie within `tolerance`, and every score must be
    within `tolerance` (absolute and relative). Of a graph that ends at the sessions' vectors these must be, and k is
    not compared. ParityError with the figures otherwise.
    """
    if k < 1 or window < 1 or items < 1:
        raise ConfigError("window, items and k must be positive")
    session = _session(graph)
    random = np.random.default_rng(seed)
    compared, shapes, worst, swapped = 0, 0, 0.0, 0
    ports, outputs = ports_of(serving)
    ranks = tuple(port.name for port in outputs) != VECTOR_OUTPUTS
    places = min(k + 1, items)  # one more, to see whether it ties with the last that is compared
    for ids, exclude in _inputs(random, window, items):
        given = {**_others(random, ports, ids, items, getattr(serving, "hidden", 1)), "ids": ids}
        if ranks:
            given |= {"exclude": exclude, "k": np.array(places, dtype=np.int64)}
        fed = feeds(ports, given)
        expected, found = _run_torch(serving, fed), session.run([port.name for port in outputs], fed)
        if ranks:
            difference, swaps = _compare(expected, found, exclude, k, tolerance)
            _compare_others(outputs, expected, found, tolerance)
        else:
            difference, swaps = _compare_vectors(expected[0], found[0], tolerance), 0
        compared, shapes, worst, swapped = compared + len(ids), shapes + 1, max(worst, difference), swapped + swaps
    return ParityReport(
        lists=compared, shapes=shapes, k=k, tolerance=tolerance, max_score_difference=worst, swapped=swapped
    )


class Likeness(NamedTuple):
    """How many of the lists that two graphs or modules gave for the same sessions are the same."""

    alike: int
    lists: int

    @property
    def share(self) -> float:
        """Of the lists, 0 to 1."""
        return self.alike / self.lists


def likeness(
    exact: nn.Module | Path | str,
    other: nn.Module | Path | str,
    sessions: Sequence[NDArray[np.int32]],
    *,
    window: int,
    k: int,
    near: float = ROUNDING,
    most: int | None = None,
) -> Likeness:
    """Return how many lists of K two graphs or modules agree on; every other list has an exclusion.

    sessions: catalogue ids, oldest first, none empty, cut to the newest `window`; those of similar length together rank
    faster. Where scores tie, or are as `near` as that, or as rounding makes them, the order is free. most: it ends as
    soon as more lists differ. ValueError without sessions.
    """
    if not sessions:
        raise ValueError("there are no sessions to compare lists of")
    left, right = (one if isinstance(one, nn.Module) else _session(one) for one in (exact, other))
    alike = lists = 0
    for start in range(0, len(sessions), _AT_ONCE):
        rows = [session[-window:] for session in sessions[start : start + _AT_ONCE]]
        ids = padded(np.concatenate(rows), np.array([len(row) for row in rows]))
        exclude = np.array([[row[-1] if place % 2 else PAD] for place, row in enumerate(rows)], dtype=np.int32)
        alike += _count_alike(_run(left, ids, exclude, k), _run(right, ids, exclude, k), near)
        lists += len(rows)
        if most is not None and lists - alike > most:
            break
    return Likeness(alike, lists)


def _count_alike(left: _Lists, right: _Lists, near: float) -> int:
    allowed = np.maximum(near, ROUNDING * np.where(np.isfinite(left[1]), np.abs(left[1]), 0.0))
    same = (left[0] == right[0]) | (_difference(left[1], right[1]) <= allowed)  # (B, K)
    return int(same.all(axis=1).sum())


def _session(graph: Bundle | Path | str) -> ort.InferenceSession:
    path = graph.onnx_path if isinstance(graph, Bundle) else Path(graph)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common type
        raise ParityError(f"ONNX Runtime can't load the exported graph {path}: {error}") from error


def _inputs(
    random: np.random.Generator, window: int, items: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield ids (B, L) right-padded, of lengths 1..L, and exclude (B, E), some of them the session's own items.

    Every second session comes back to its items, which a catalogue of any size would else hardly see."""
    for length in sorted({1, min(2, window), (window + 1) // 2, window}):
        for batch in _BATCHES:
            ids = random.integers(PAD + 1, items, size=(batch, length), dtype=np.int32, endpoint=True)
            ids[1::2, 2::3] = ids[1::2, : ids.shape[1] - 2 : 3]
            exclude = random.integers(PAD, items, size=(batch, 1 + batch % 5), dtype=np.int32, endpoint=True)
            exclude[::2, 0] = ids[::2, 0]
            lengths = random.integers(1, length, size=batch, endpoint=True)
            lengths[0] = length
            ids[np.arange(length)[None, :] >= lengths[:, None]] = PAD
            yield ids, exclude


def _others(
    random: np.random.Generator, ports: Sequence[Port], ids: NDArray[np.int32], items: int, hidden: int
) -> dict[str, NDArray[Any]]:
    """Return values for the ports that a graph need not have, and put a fresh item into some of the sessions."""
    batch, names = len(ids), {port.name for port in ports}
    fresh = random.standard_normal((1 + batch % 4, hidden), dtype=np.float32) if "fresh" in names else None
    last = items if fresh is None else items + len(fresh)
    if fresh is not None:
        ids[::3, 0] = last
        ids[::6, ids.shape[1] // 2] = np.where(ids[::6, ids.shape[1] // 2] == PAD, PAD, last)
    away = random.integers(PAD, last, size=(batch, 1 + batch % 3), dtype=np.int32, endpoint=True)
    away[::2] = PAD
    kinds = random.integers(1, len(KINDS), size=ids.shape, dtype=np.int32, endpoint=True)
    every = {
        "also": random.integers(PAD, last, size=1 + 3 * (batch % 4), dtype=np.int32, endpoint=True),
        "away": away,
        "push": np.array(random.random(), dtype=np.float32),
        "kinds": np.where(ids == PAD, 0, kinds).astype(np.int32),
        "preference": random.random(batch, dtype=np.float32),
        "fresh": fresh,
        "rows": random.integers(PAD, items, size=1 + batch % 6, dtype=np.int32, endpoint=True),
    }
    return {name: value for name, value in every.items() if name in names and value is not None}


def _run(
    session: ort.InferenceSession | nn.Module, ids: NDArray[np.int32], exclude: NDArray[np.int32], k: int
) -> _Lists:
    """Return lists of K; the ports that a graph need not have ask for nothing."""
    if isinstance(session, nn.Module):
        asked: dict[str, NDArray[Any]] = {"ids": ids, "exclude": exclude, "k": np.array(k, dtype=np.int64)}
        fed = feeds(ports_of(session)[0], asked, getattr(session, "hidden", 1))
        found = _run_torch(session, fed)
        return found[0], found[1]
    ports = [INPUTS[value.name] for value in session.get_inputs()]
    hidden = next((value.shape[1] for value in session.get_inputs() if value.name == "fresh"), 1)
    given: dict[str, NDArray[Any]] = {"ids": ids, "exclude": exclude, "k": np.array(k, dtype=np.int64)}
    top_ids, top_scores = session.run(list(REQUIRED_OUTPUTS), feeds(ports, given, hidden))
    return top_ids, top_scores


def _run_torch(serving: nn.Module, fed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    device = next((tensor.device for tensor in serving.state_dict().values()), torch.device("cpu"))
    training = serving.training
    serving.eval()
    try:
        with torch.no_grad():
            outputs = serving(*(torch.from_numpy(array).to(device) for array in fed.values()))
    finally:
        serving.train(training)
    return [output.cpu().numpy() for output in ((outputs,) if isinstance(outputs, torch.Tensor) else outputs)]


def _compare_others(
    outputs: Sequence[Port], expected: Sequence[NDArray[Any]], found: Sequence[NDArray[Any]], tolerance: float
) -> None:
    """ParityError where a list's scores agree but what else the graph gives does not."""
    for port, ours, theirs in zip(outputs, expected, found, strict=True):
        if port.name in ("also_scores", "fresh_scores", "row_vectors"):
            allowed = tolerance * np.maximum(1.0, np.where(np.isfinite(ours), np.abs(ours), 1.0))
            if ours.shape != theirs.shape or not (_difference(ours, theirs) <= allowed).all():
                raise ParityError(f"{port.name} differ, at shape {ours.shape}")
        if port.name == "top_interests" and ours.shape != theirs.shape:
            raise ParityError(f"top_interests have shape {theirs.shape} in the graph, {ours.shape} in PyTorch")


def _compare(
    expected: Sequence[NDArray[Any]],
    found: Sequence[NDArray[Any]],
    exclude: NDArray[np.int32],
    k: int,
    tolerance: float,
) -> tuple[float, int]:
    """Return the largest difference of scores and how many places have swapped ids; ParityError if they disagree."""
    shape = expected[0].shape
    if found[0].shape != shape or shape[1] < k:
        raise ParityError(f"lists have shape {found[0].shape} in the graph, {shape} in PyTorch; {k} places are needed")
    ids, graph_ids = expected[0][:, :k], found[0][:, :k]
    scores, graph_scores = expected[1][:, :k], found[1][:, :k]
    if ((graph_ids[:, :, None] == exclude[:, None, :]) & (graph_ids != PAD)[:, :, None]).any():
        raise ParityError("the graph returned an excluded item")
    difference = _difference(scores, graph_scores)
    allowed = tolerance * np.maximum(1.0, np.where(np.isfinite(scores), np.abs(scores), 1.0))
    worst = float(difference.max())
    if not (difference <= allowed).all():
        at = np.unravel_index(difference.argmax(), difference.shape)
        ours, theirs = f"{scores[at]:.6g} of item {ids[at]}", f"{graph_scores[at]:.6g} of item {graph_ids[at]}"
        raise ParityError(
            f"scores differ by up to {worst:.3g}, more than {tolerance:g} allowed, at shape {shape}: {ours} in "
            f"PyTorch, {theirs} in the graph"
        )
    swapped = ids != graph_ids
    wrong = swapped & ~_tied(expected[1], allowed)
    if wrong.any():
        raise ParityError(f"{wrong.sum()} of {wrong.size} ids differ where scores don't tie, at shape {shape}")
    return worst, int(swapped.sum())


def _compare_vectors(expected: NDArray[np.float32], found: NDArray[np.float32], tolerance: float) -> float:
    """Return the largest difference of the vectors (B, H); ParityError where it is too large."""
    if found.shape != expected.shape:
        raise ParityError(f"vectors have shape {found.shape} in the graph, {expected.shape} in PyTorch")
    difference = _difference(expected, found)
    worst = float(difference.max())
    if not (difference <= tolerance * np.maximum(1.0, np.abs(expected))).all():
        raise ParityError(
            f"vectors differ by up to {worst:.3g}, more than {tolerance:g} allowed, at shape {expected.shape}"
        )
    return worst


def _difference(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return |left - right| (B, K): 0 where both are -inf (no item left), inf where either is NaN."""
    with np.errstate(invalid="ignore"):
        gap = np.where(left == right, 0.0, np.abs(left.astype(np.float64) - right))
    return np.nan_to_num(gap, nan=np.inf)


def _tied(every: NDArray[np.float32], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the first K places tie with a neighbour, from scores (B, K + 1 or V) and `allowed` (B, K)."""
    k = allowed.shape[1]
    with np.errstate(invalid="ignore"):
        close = np.abs(np.diff(every, axis=1))[:, :k]  # (B, K), or (B, K - 1) where K is V
    tied = np.zeros(allowed.shape, dtype=np.bool_)
    tied[:, 1:] = close[:, : k - 1] <= 2 * allowed[:, 1:]
    tied[:, : close.shape[1]] |= close <= 2 * allowed[:, : close.shape[1]]
    return tied
