"""The graph that ends where a dense model's ranking begins: ids of sessions in, their vectors out.

It stands beside the graph that ranks, for who ranks outside it (export/dense), and shares that one's weights.

Legend: B sessions, L positions, A items moved away from, H hidden width of all encoders together.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from export.bundle.manifest import ItemTable
from export.graph.beside import SCANNED_FROM, export_beside
from model.nets.serving import ServingModel

__all__ = ["SessionModel", "export_sessions"]

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


def export_sessions(
    serving: ServingModel, path: Path, ranking: Path, *, items: int, seed: int = 0
) -> dict[str, tuple[ItemTable, ...]]:
    """Write the graph of the sessions' vectors to `path`, where lists are worth making outside of the graph that ranks,
    which is in the file `ranking`; return the fields of a manifest that say where tables are in that. {}: not written.
    """
    if serving.several or items < SCANNED_FROM:
        return {}
    layer = serving.after
    tables = [encoder.table.detach().cpu().float().numpy() for encoder in serving.encoders]
    if layer is not None and layer.config.counts:
        tables += [layer.neighbours.cpu().numpy(), layer.weights.cpu().numpy()]
    model = SessionModel(serving)
    found = export_beside(model, path, ranking, tables, window=serving.window, items=items, seed=seed)
    return {"tables" if layer is None else "layered": found} if found else {}
