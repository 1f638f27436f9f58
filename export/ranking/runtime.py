"""ONNX Runtime: open an exported graph on the provider asked for and run it.

B sessions, L positions, E exclusions a session, C candidates, K asked for. Ports: `export/bundle/interface.py`.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.interface import (
    INPUTS,
    OUTPUTS,
    REQUIRED_INPUTS,
    REQUIRED_OUTPUTS,
    VECTOR_INPUTS,
    VECTOR_OUTPUTS,
    Port,
    feeds,
    in_order,
)
from export.cores import usable_cores
from export.errors import BundleError, ProviderUnavailable
from export.providers import Provider

__all__ = ["GraphRunner", "Ran", "try_provider"]

_PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_SMALLEST_GRAPH = (  # y = relu(x) of one number, opset 17: opened to see which provider takes it
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
_ORT_TYPES = {"int32": "tensor(int32)", "int64": "tensor(int64)", "float32": "tensor(float)"}
_NONE: Mapping[str, NDArray[Any]] = {}
_CUDA_HINT = (
    "the CUDA provider can't run here ({reason}). It needs an NVIDIA GPU with its driver, and "
    "the build of ONNX Runtime for it in place of the one for CPUs (README, On a GPU); or choose the provider cpu"
)


def try_provider(provider: Provider) -> None:
    """ProviderUnavailable unless graphs can run on it here; what a process is told at its start, before any model."""
    if provider == "cuda":
        _prepare_cuda()
    try:
        _session(_SMALLEST_GRAPH, provider, _options(threads=1, spin=False))
    except ProviderUnavailable:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions have no common type
        raise ProviderUnavailable(f"the provider {provider} can't run the smallest graph: {error}") from error


class Ran(NamedTuple):
    """What one run gave; None where the graph has no such output."""

    ids: NDArray[np.int32]  # (B, K), best first
    scores: NDArray[np.float32]  # (B, K)
    also: NDArray[np.float32] | None = None  # (B, C)
    interests: NDArray[np.int32] | None = None  # (B, K)
    fresh: NDArray[np.float32] | None = None  # (B, X)
    rows: NDArray[np.float32] | None = None  # (R, H)


class GraphRunner:
    """One loaded graph. `run` may be called from any thread, also at the same time."""

    def __init__(
        self, bundle: Bundle, *, provider: Provider, threads: int, spin: bool, graph: Path | None = None
    ) -> None:
        """Load the graph of a verified bundle; BundleError `bad_model`, or ProviderUnavailable.

        threads: cores one run uses on the CPU, 0 for those this process may use. spin: idle threads busy-wait.
        graph: another of the bundle than the one that ranks, which ends at the sessions' vectors.
        """
        self._on_cuda = provider == "cuda"
        if self._on_cuda:
            _prepare_cuda()
        path, ranks = graph or bundle.onnx_path, graph is None and bundle.codes is None
        self._session = _open(path, provider, _options(threads, spin))
        self._inputs, self._outputs = _check_interface(self._session, path, ranks=ranks)
        shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self.hidden = int(shapes["fresh"][1]) if "fresh" in shapes else 0  # H of fresh items; 0: it takes none
        self.takes = frozenset(shapes)  # names of inputs
        self.row_cells = len(bundle.vocabulary)  # numbers that a run holds for each session beside its activations
        self.has_interests = "top_interests" in self._outputs  # it says which interest each item came from

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of the provider that runs the graph."""
        return str(self._session.get_providers()[0])

    def run(
        self, ids: NDArray[np.int32], exclude: NDArray[np.int32], k: int, others: Mapping[str, NDArray[Any]] = _NONE
    ) -> Ran:
        """Return lists of K for ids int32 (B, L) and exclude int32 (B, E).

        others: arrays by the name of their port; those left out ask for nothing. ValueError where the graph has no such
        port.
        """
        given: dict[str, NDArray[Any]] = {"ids": ids, "exclude": exclude, "k": np.array(k, dtype=np.int64), **others}
        if "k" not in self.takes:
            del given["k"]
        by_name = self._run(given)
        interests = by_name.get("top_interests")
        return Ran(
            by_name["top_ids"][:, :k],
            by_name["top_scores"][:, :k],
            by_name.get("also_scores"),
            None if interests is None else interests[:, :k],
            by_name.get("fresh_scores"),
            by_name.get("row_vectors"),
        )

    def _run(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by their names; ValueError where the graph has no such port."""
        fed = feeds(self._inputs, given, self.hidden)
        found = self._run_on_cuda(fed) if self._on_cuda else self._session.run(self._outputs, fed)
        return dict(zip(self._outputs, found, strict=True))

    def _run_on_cuda(self, fed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        binding = self._session.io_binding()  # only ids go to the GPU, only the lists come back
        for name, array in fed.items():
            if array.ndim:
                binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
            else:
                binding.bind_cpu_input(name, array)  # the list's length: shapes are computed on the CPU
        for name in self._outputs:
            binding.bind_output(name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        found: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return found


def _prepare_cuda() -> None:
    if _PROVIDERS["cuda"] not in ort.get_available_providers():
        raise ProviderUnavailable(_CUDA_HINT.format(reason="this ONNX Runtime is a CPU build"))
    preload = getattr(ort, "preload_dlls", None)  # finds the libraries inside pip's nvidia packages and PyTorch's
    if preload is not None:
        with contextlib.suppress(Exception):  # libraries of the system may do; what runs in the end is checked
            preload()


def _options(threads: int, spin: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what matters is raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    return options


def _open(path: Path, provider: Provider, options: Any) -> Any:
    try:
        return _session(str(path), provider, options)
    except ProviderUnavailable:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions have no common type
        raise BundleError("bad_model", f"ONNX Runtime can't load {path}: {error}") from error


def _session(graph: str | bytes, provider: Provider, options: Any) -> Any:
    """Open a file or the bytes of a graph; ProviderUnavailable where another provider would run it."""
    wanted = _PROVIDERS[provider]
    providers = [wanted] if provider == "cpu" else [wanted, _PROVIDERS["cpu"]]
    session = ort.InferenceSession(graph, options, providers=providers)
    if session.get_providers()[0] != wanted:
        raise ProviderUnavailable(_CUDA_HINT.format(reason="CUDA or cuDNN libraries are missing or do not match"))
    return session


def _check_interface(session: Any, path: Path, *, ranks: bool) -> tuple[tuple[Port, ...], list[str]]:
    """Return the inputs, and the names of the outputs; an earlier release exported lists of one length, without `k`."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    try:
        required = tuple(name for name in REQUIRED_INPUTS if name != "k") if ranks else VECTOR_INPUTS
        ports = in_order([value.name for value in inputs], INPUTS, required)
        results = in_order([value.name for value in outputs], OUTPUTS, REQUIRED_OUTPUTS if ranks else VECTOR_OUTPUTS)
    except ValueError as error:
        raise BundleError("bad_model", f"the inputs or outputs of {path}: {error}") from error
    for port, value in zip((*ports, *results), (*inputs, *outputs), strict=True):
        if value.type != _ORT_TYPES[port.dtype]:
            raise BundleError("bad_model", f"{value.name} of {path} is a {value.type}, no {port.dtype}")
        if port.name == "fresh" and not (len(value.shape) == 2 and isinstance(value.shape[1], int)):
            raise BundleError("bad_model", f"{value.name} of {path} has the shape {value.shape}")
    return ports, [port.name for port in results]
