"""The graph that ends where a dense model's ranking begins: ids of sessions in, their vectors out.

It stands beside the graph that ranks, for who ranks outside it (export/dense), and shares that one's weights.

Legend: B sessions, L positions, A items moved away from, H hidden width of all encoders together.
"""

from __future__ import annotations

from torch import Tensor, nn

from model.nets.serving import ServingModel

__all__ = ["SessionModel"]

_OF_LISTS = ("exclude", "k", "also", "rows")  # what a graph that ranks takes for its lists


class SessionModel(nn.Module):
    """What of a serving model gives the vectors that its item tables are multiplied with; always in eval mode."""

    def __init__(self, serving: ServingModel) -> None:
        super().__init__()
        self.serving = serving
        self.window, self.hidden = serving.window, serving.hidden
        self.inputs = tuple(name for name in serving.inputs if name not in _OF_LISTS)
        self.outputs = ("vectors",)
        self.eval()

    def forward(self, ids: Tensor, away: Tensor, push: Tensor, *others: Tensor) -> Tensor:
        """Return vectors float32 (B, H), the encoders' side by side; arguments as `ServingModel.forward` takes them."""
        return self.serving.vectors(ids, away, push, **dict(zip(self.inputs[3:], others, strict=True)))
