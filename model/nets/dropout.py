"""Dropout whose masks are slices of one pool of random numbers made beforehand.

Drawing a Bernoulli number for each activation costs 15 % of a training step on a CPU; a slice costs nothing. Each call
takes a slice at a random place of a pool much larger than itself; two masks of a step may overlap in part. Activations
larger than half of the pool take theirs from the pool repeated. A mask follows from the two seeds and its size alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PooledDropout"]

POOL = 1 << 22  # numbers in the pool, 16 MiB; more than any one activation of a batch of 128 sessions


class PooledDropout(nn.Module):
    """Zero a share `p` of the input and scale the rest by 1 / (1 - p) while training; nothing otherwise."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._pool = torch.empty(0)  # POOL numbers, or as often repeated as the largest activation so far asked for
        self._pool_seed = 0
        self._generator = torch.Generator()

    def seed(self, pool_seed: int) -> None:
        """Say what the pool is made of when a mask is first asked for; the same seed makes the same one."""
        self._pool_seed, self._pool = pool_seed, torch.empty(0)

    def forget(self) -> None:
        """Let the pool go, as at the end of a training; it is made again where a mask is asked for."""
        self._pool = torch.empty(0)

    def begin_step(self, step_seed: int) -> None:
        """Set where the slices of this step come from."""
        self._generator.manual_seed(step_seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with a share of it zeroed, same shape."""
        if not self.training or self.p == 0.0:
            return x
        return x * self._mask(x.numel(), x.device).view_as(x)

    def _mask(self, count: int, device: torch.device) -> Tensor:
        if self._pool.device != device:
            self._pool = self._pool.to(device)
        starts = POOL - count if 2 * count <= POOL else POOL
        if self._pool.numel() < starts + count:
            self._grow(starts + count)
        start = int(torch.randint(starts, (1,), generator=self._generator))
        return self._pool[start : start + count]

    def _grow(self, count: int) -> None:
        """Make the pool, or repeat it, until it holds `count` numbers."""
        if self._pool.numel() == 0:
            keep = torch.rand(POOL, generator=torch.Generator().manual_seed(self._pool_seed)) >= self.p
            self._pool = keep.float().div_(1.0 - self.p).to(self._pool.device)
        if count > POOL:
            self._pool = self._pool[:POOL].repeat(-(-count // POOL))
