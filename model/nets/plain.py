"""An encoder as it is served: one table, which has each item's vector, whatever computed it.

Legend: V catalogue ids, N items that nobody has clicked yet, H hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from export.bundle.vocabulary import PAD
from export.items.features import FeatureRows
from model.nets.encoder import Encoder
from model.nets.encoders import build_encoder

__all__ = ["TOWER", "plain", "plain_all"]

TOWER = "tower."  # what the names of a tower's weights begin with


@torch.no_grad()
def plain(encoder: Encoder, newcomers: FeatureRows | None = None) -> Encoder:
    """Return an encoder of the same vectors without a tower, in eval mode; `encoder` itself where it has none.

    newcomers: features of N items that get the ids V + 1 to V + N. Without a tower there can be none.
    """
    tower = encoder.tower
    if tower is None:
        assert newcomers is None, "an id that was never clicked has no vector"
        return encoder
    table = tower.table(encoder.table)  # (V + 1, H)
    if newcomers is not None and len(newcomers):
        codes, weights = (torch.from_numpy(part).to(table.device) for part in newcomers.padded())
        parts = zip(torch.split(codes, _AT_ONCE), torch.split(weights, _AT_ONCE), strict=True)
        table = torch.cat([table, *(tower.features(*part) for part in parts)])
    with torch.random.fork_rng(devices=[]):
        served = build_encoder(encoder.config, 1)
    served.items = nn.Embedding(
        table.shape[0], table.shape[1], padding_idx=PAD, device="meta"
    )  # takes the table as it is
    weights_of = {name: weight for name, weight in encoder.state_dict().items() if not name.startswith(TOWER)}
    served.load_state_dict({**weights_of, "items.weight": table}, assign=True)
    return served.eval()


def plain_all(encoders: Sequence[Encoder], newcomers: FeatureRows | None = None) -> list[Encoder]:
    """Return what `plain` does of each."""
    return [plain(encoder, newcomers) for encoder in encoders]


_AT_ONCE = 1 << 14  # newcomers whose vectors are computed at once
