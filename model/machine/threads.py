"""How many CPU threads torch uses."""

from __future__ import annotations

import os

import torch

from export.cores import usable_cores

__all__ = ["use_threads"]


def use_threads(threads: int) -> int:
    """Give torch `threads` CPU threads, 0: one a core this process may use; return how many.

    Processes that torchrun started on this machine share its cores.
    """
    count = threads or max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(count)
    return count
