"""Several processes that train one model: `torchrun --nproc-per-node N -m nextclick train …`.

Each process takes its share of every batch, with negatives and masks of its own; gradients are averaged by the
positions they come from, so that all take the same step. Process 0 validates, saves, exports and publishes; a training
that is resumed reads its checkpoint in every process, so machines must share the folder.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from model.errors import TrainingError

__all__ = ["ALONE", "Team", "join_team", "leave_team"]

PATIENCE = datetime.timedelta(minutes=30)  # of processes that wait while process 0 validates


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of one training, as one of them sees them."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def share(self, chosen: Tensor) -> Tensor:
        """Return this process's part of a batch's sessions (S,); of a batch smaller than the team each takes all."""
        return chosen[self.rank :: self.size] if len(chosen) >= self.size else chosen

    def average_(self, grads: list[Tensor], *, positions: int, loss: float, stop: bool) -> tuple[float, bool]:
        """Replace the gradients by the mean over all positions; return the mean loss, and whether any wants to stop."""
        if self.size == 1:
            return loss, stop
        extra = torch.tensor([positions, loss * positions, float(stop)], dtype=grads[0].dtype, device=grads[0].device)
        flat = torch.cat([*(grad.flatten() * positions for grad in grads), extra])
        dist.all_reduce(flat)
        total, summed, stops = flat[-3:].tolist()
        flat.div_(total)
        for grad, part in zip(grads, torch.split(flat[:-3], [grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))
        return summed / total, stops > 0

    def check_alike(self, what: str, value: object) -> None:
        """Raise TrainingError, in every process, unless `value` is the same in all of them."""
        if self.size == 1:
            return
        values: list[object] = [None] * self.size
        dist.all_gather_object(values, value)
        if any(other != values[0] for other in values):
            raise TrainingError(f"the {self.size} processes differ in {what}: {', '.join(map(str, values))}")

    def any(self, flag: bool) -> bool:
        """Return whether the flag is true in any process; all of them must ask."""
        if self.size == 1:
            return flag
        flags: list[bool] = [False] * self.size
        dist.all_gather_object(flags, flag)
        return True in flags

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def same_on_all(self, state: list[object]) -> None:
        """Replace the entries of `state` by those of process 0."""
        if self.size > 1:
            dist.broadcast_object_list(state, src=0)


ALONE = Team()


def join_team(device: str = "cpu") -> Team:
    """Return the team torchrun's environment describes, ALONE without one. TrainingError if it can't be joined."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if not dist.is_initialized():
        try:
            dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"the {size} processes of this training can't find each other: {error}") from error
        if device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return Team(dist.get_rank(), dist.get_world_size())


def leave_team() -> None:
    """Close the connections to the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
