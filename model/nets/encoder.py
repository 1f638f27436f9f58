"""What all encoders share: a session's items in, the vector its next item is scored with out.

Legend: B sessions, L positions, T positions read out, H hidden width, V catalogue ids (row 0: padding).
Source: Wilm et al., RecSys 2023 (TRON): item vectors times sqrt(H), table tied to the output, Xavier.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.events import CLICK, TYPES
from model.learn.batches.batch import Batch
from model.nets.coded import CodedItems
from model.nets.config import EncoderConfig
from model.nets.dropout import PooledDropout
from model.nets.interests import Interests
from model.nets.preference import MIDDLE, Preference, Tone
from model.nets.rows import WithFresh
from model.nets.tower import ItemTower

__all__ = ["Encoder"]


class Encoder(nn.Module, ABC):
    """Items of sessions in, hidden vectors out; `items` scores them: a row an item (V + 1, H), or codes."""

    def __init__(self, config: EncoderConfig, catalogue: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = PooledDropout(config.dropout)
        self.input_dropout = PooledDropout(config.dropout if config.input_dropout is None else config.input_dropout)
        self.items: nn.Embedding | CodedItems = nn.Embedding(catalogue + 1, config.hidden, padding_idx=PAD)
        self.interests: Interests | None = None  # how several vectors are made of a session's states
        self.tower: ItemTower | None = None  # of a training with items: what attributes add to `items`
        if config.typed:
            self.kinds = nn.Embedding(TYPES, config.hidden, padding_idx=PAD)
        if config.preference:
            self.preference = Preference(config.hidden)

    def initialise(self) -> None:
        """Give every parameter its first value: Xavier for matrices, 0 for biases and for the padding row."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.table[PAD].zero_()
            if self.config.typed:
                self.kinds.weight[PAD].zero_()
        if self.config.preference:
            self.preference.initialise()

    @property
    def table(self) -> Tensor:
        """The item table (V + 1, H) of an encoder that has a row an item."""
        assert isinstance(self.items, nn.Embedding), "codes have no table"
        return self.items.weight

    @property
    def weight(self) -> Tensor:
        """What is learned of the items: the table, or the books of their codes."""
        return self.items.books if isinstance(self.items, CodedItems) else self.items.weight

    def look_up(self, ids: Tensor, table: Tensor | WithFresh | None) -> Tensor:
        """Return the item vectors (..., H) of ids (...), scaled; from `table` where one is given."""
        if isinstance(table, WithFresh):
            return table.rows(ids) * math.sqrt(self.config.hidden)
        rows = self.items(ids) if table is None else nn.functional.embedding(ids, table)
        if table is None and self.tower is not None:
            rows = self.tower(rows.flatten(0, -2), ids.flatten().long()).view_as(rows)
        return torch.as_tensor(rows * math.sqrt(self.config.hidden))

    @abstractmethod
    def forward(self, batch: Batch, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return hidden (T, H) of a packed batch; `table` (rows, H) takes the place of the item table for its ids."""

    def say_kinds(self, x: Tensor, kinds: Tensor | None, ids: Tensor) -> Tensor:
        """Return x (..., H) with what each event (...) is added, where the encoder is told; None: all clicks."""
        if not self.config.typed:
            return x
        return torch.as_tensor(x + self.kinds((ids != PAD).to(ids.dtype) * CLICK if kinds is None else kinds))

    def tone(self, preference: Tensor | None, sessions: int) -> Tone | None:
        """Return what preferences (S,) make of so many sessions, the middle where None is given.

        None for an encoder that is told none.
        """
        if not self.config.preference:
            return None
        given = self.preference.inner.weight.new_full((sessions,), MIDDLE) if preference is None else preference
        return Tone(*self.preference(given))

    @abstractmethod
    def last(
        self,
        ids: Tensor,
        table: Tensor | WithFresh | None = None,
        *,
        kinds: Tensor | None = None,
        preference: Tensor | None = None,
    ) -> Tensor:
        """Return hidden (B, H) of each session's next click; ids (B, L <= window), right-padded with 0, none empty.

        table: where ids may be those of items newer than the model. kinds (B, L): code of each event, for an encoder
        that is told; None: all clicks. preference (B,) float32 likewise; None: the middle.
        """

    @abstractmethod
    def states(self, ids: Tensor, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return (B, L, H), what each click leaves behind it, for ids as `last` takes them; anything at padding."""

    def vectors(self, batch: Batch, table: Tensor | None = None) -> Tensor:
        """Return what a packed batch is scored with: hidden (T, H), or (T, K, H) of several interests."""
        hidden = self(batch, table)
        return torch.as_tensor(hidden if self.interests is None else self.interests.causal(hidden, batch).vectors)

    def newest(
        self,
        ids: Tensor,
        table: Tensor | WithFresh | None = None,
        *,
        kinds: Tensor | None = None,
        preference: Tensor | None = None,
    ) -> Tensor:
        """Return what sessions are scored with: hidden (B, H), or (B, K, H) of several interests."""
        if self.interests is None:
            return self.last(ids, table, kinds=kinds, preference=preference)
        return self.interests.newest(self.states(ids, table), ids != PAD)

    def _newest(self, ids: Tensor) -> Tensor:
        return (ids != PAD).sum(dim=1) - 1  # (B,)
