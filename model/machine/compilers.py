"""The compiler for GPUs, which comes with some builds of torch."""

from __future__ import annotations

import sys

import torch

__all__ = ["leave_out_triton"]


def leave_out_triton() -> None:
    """Where no GPU can be used, have torch go on without Triton, as its builds for CPU do.

    torch imports it with the first step of an optimizer, 65 MiB, and compiles nothing by it on a CPU.
    """
    if not torch.cuda.is_available():
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # Python's own word for: can't be imported
