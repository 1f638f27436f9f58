"""The interface of an exported graph: the ports that trainer and worker agree on, by name.

B sessions, L positions, E exclusions, C candidates, A items moved away from, X fresh vectors, R rows, H hidden,
V catalogue, K asked for. A graph has the required ports, and of the others those that its model can use.
The graph of a dense model ranks: it has `top_ids` and `top_scores`. That of a coded one ends at the session's vector,
which is ranked by the bundle's codes outside it: it has `vectors` alone, and no `exclude`, `k` and `also`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.events import CLICK

__all__ = [
    "INPUTS",
    "OUTPUTS",
    "REQUIRED_INPUTS",
    "REQUIRED_OUTPUTS",
    "VECTOR_INPUTS",
    "VECTOR_OUTPUTS",
    "Port",
    "feeds",
    "in_order",
]


class Port(NamedTuple):
    """One input or output; `dims` names its dimensions, all of them dynamic but H."""

    name: str
    dtype: str  # numpy's name of it
    dims: tuple[str, ...]


_ALL_INPUTS = (
    Port("ids", "int32", ("B", "L")),  # right-padded with 0, newest last; ids above V are rows of `fresh`
    Port("exclude", "int32", ("B", "E")),  # padded with 0
    Port("k", "int64", ()),  # K, 1 to V
    Port("also", "int32", ("C",)),  # padded with 0: candidates whose scores are wanted whatever their rank
    Port("away", "int32", ("B", "A")),  # padded with 0: what a session dislikes; its vector is moved away from them
    Port("push", "float32", ()),  # how far: 0 not at all, 1 until it has nothing in common with what they share
    Port("kinds", "int32", ("B", "L")),  # 0 at padding, else what each event is (export/events.py)
    Port("preference", "float32", ("B",)),  # weight of orders against clicks, 0 to 1
    Port("fresh", "float32", ("X", "H")),  # vectors that the model lacks, with ids V + 1 to V + X
    Port("rows", "int32", ("R",)),  # ids of 0..V whose vectors are wanted
)
_ALL_OUTPUTS = (
    Port("top_ids", "int32", ("B", "K")),  # best first, 0 where no item is left
    Port("top_scores", "float32", ("B", "K")),
    Port("also_scores", "float32", ("B", "C")),  # where there is an input `also`; -inf where that is 0
    Port("top_interests", "int32", ("B", "K")),  # the interest that each item came from, from 0; of several interests
    Port("fresh_scores", "float32", ("B", "X")),  # where there is an input `fresh`
    Port("row_vectors", "float32", ("R", "H")),  # where there is an input `rows`
    Port("vectors", "float32", ("B", "H")),  # of sessions, as codes are scored with (export/codes/codes.py)
)
INPUTS: Mapping[str, Port] = {port.name: port for port in _ALL_INPUTS}  # in the order in which a module takes them
OUTPUTS: Mapping[str, Port] = {port.name: port for port in _ALL_OUTPUTS}
REQUIRED_INPUTS = ("ids", "exclude", "k")
REQUIRED_OUTPUTS = ("top_ids", "top_scores")
VECTOR_INPUTS = ("ids",)  # required of a graph that ends at the vectors
VECTOR_OUTPUTS = ("vectors",)  # all that it has


def in_order(names: Sequence[str], ports: Mapping[str, Port], required: Sequence[str]) -> tuple[Port, ...]:
    """Return the ports of a graph; ValueError where a name is unknown, missing, given twice or out of order."""
    wanted = [name for name in ports if name in names]
    if list(names) != wanted or not set(required) <= set(names):
        raise ValueError(f"{tuple(names)} are not, in this order, {tuple(required)} and some of {tuple(ports)}")
    return tuple(ports[name] for name in names)


def feeds(ports: Sequence[Port], given: Mapping[str, NDArray[Any]], hidden: int = 1) -> dict[str, NDArray[Any]]:
    """Return an array for each port, in their order: the one given, or what asks for nothing.

    hidden: H of a graph with the port `fresh`. ValueError where something is given that the graph has no port for.
    """
    names = [port.name for port in ports]
    if extra := set(given).difference(names):
        raise ValueError(f"the graph has no input {', '.join(sorted(extra))}")
    ids = given["ids"]
    return {name: given[name] if name in given else _nothing(name, ids, hidden) for name in names}


def _nothing(name: str, ids: NDArray[Any], hidden: int) -> NDArray[Any]:
    batch = len(ids)
    if name == "kinds":
        return np.where(ids == PAD, np.int32(PAD), np.int32(CLICK))
    shapes: dict[str, tuple[int, ...]] = {"also": (1,), "away": (batch, 1), "push": (), "preference": (batch,)}
    shapes |= {"fresh": (1, hidden), "rows": (1,)}
    return np.zeros(shapes[name], dtype=INPUTS[name].dtype)
