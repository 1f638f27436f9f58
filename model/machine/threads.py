"""How many CPU threads torch uses."""

from __future__ import annotations

import os

import torch

__all__ = ["usable_cores", "use_threads"]


def use_threads(threads: int) -> int:
    """Give torch `threads` CPU threads, 0: one a core this process may use; return how many.

    Processes that torchrun started on this machine share its cores.
    """
    count = threads or max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(count)
    return count


def usable_cores() -> int:
    """Return how many cores this process may use; where the system does not say, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
