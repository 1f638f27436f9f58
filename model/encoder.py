"""The causal Transformer that turns a session's items into the vector its next item is scored with.

Legend: B sessions or packed rows, L positions, T real positions, H hidden width, V catalogue ids (row 0 is padding).
Source: Wilm et al., RecSys 2023 (TRON), after Kang & McAuley, ICDM 2018 (SASRec): x = E[item] * sqrt(H) + P[position],
pre-norm layers, final LayerNorm, item table tied to the output, Xavier initialisation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from export.vocabulary import PAD
from model.config import EncoderConfig
from model.dropout import PooledDropout


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads and a projection after it."""

    def __init__(self, config: EncoderConfig, dropout: PooledDropout) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key_value = nn.Linear(config.hidden, 2 * config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)
        self.dropout = dropout

    def forward(self, queries: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
        """Return (B, Q, H) for queries (B, Q, H), context (B, L, H), allowed bool (B or 1, Q, L): True may be seen."""
        batch, count, hidden = queries.shape
        width = hidden // self.heads
        key, value = self.key_value(context).chunk(2, dim=-1)  # (B, L, H) each
        query = self.query(queries) * width**-0.5
        if self.heads > 1:
            query, key, value = (self._split(x, width) for x in (query, key, value))  # (B, heads, L, width)
            allowed = allowed.unsqueeze(1)  # (B, 1, Q, L)
        scores = query @ key.transpose(-1, -2)  # (B, [heads,] Q, L)
        weights = torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-1)
        mixed = self.dropout(weights) @ value
        if self.heads > 1:
            mixed = mixed.transpose(1, 2).reshape(batch, count, hidden)  # (B, Q, H)
        return torch.as_tensor(self.output(mixed))

    def _split(self, x: Tensor, width: int) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, width).transpose(1, 2)


class Layer(nn.Module):
    """One pre-norm layer: attention, then a ReLU feed-forward block, each added to its input."""

    def __init__(self, config: EncoderConfig, dropout: PooledDropout) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = Attention(config, dropout)
        self.feed_norm = nn.LayerNorm(config.hidden)
        self.widen = nn.Linear(config.hidden, config.feed_forward)
        self.narrow = nn.Linear(config.feed_forward, config.hidden)
        self.dropout = dropout

    def forward(self, x: Tensor, allowed: Tensor, last: Tensor | None = None) -> Tensor:
        """Return (B, L, H) for x (B, L, H) and allowed bool (B or 1, L, L).

        With `last` int64 (B,) only that position of each row, (B, 1, H), and `allowed` is (B, 1, L).
        """
        context = self.attention_norm(x)
        queries = context
        if last is not None:
            rows = torch.arange(x.shape[0], device=x.device)
            queries, x = context[rows, last].unsqueeze(1), x[rows, last].unsqueeze(1)  # (B, 1, H)
        x = x + self.dropout(self.attention(queries, context, allowed))
        inner = self.dropout(torch.relu(self.widen(self.feed_norm(x))))  # (B, L, F)
        return torch.as_tensor(x + self.dropout(self.narrow(inner)))


class Encoder(nn.Module):
    """Items of sessions in, hidden vectors out; `items.weight` (V + 1, H) scores them."""

    def __init__(self, config: EncoderConfig, catalogue: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = PooledDropout(config.dropout)
        self.items = nn.Embedding(catalogue + 1, config.hidden, padding_idx=PAD)
        self.positions = nn.Embedding(config.window, config.hidden)
        self.layers = nn.ModuleList(Layer(config, self.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.items.weight[PAD].zero_()

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return (B, L, H) for ids and positions (B, L), any integer type."""
        scale = math.sqrt(self.config.hidden)
        return torch.as_tensor(self.dropout(self.items(ids) * scale + self.positions(positions)))

    def forward(self, ids: Tensor, positions: Tensor, owner: Tensor) -> Tensor:
        """Return hidden (R, P, H) of packed rows; ids, positions, owner are int64 (R, P) of packing.PackedBatch.

        A position sees earlier ones, and itself, of its own session only.
        """
        length = ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        allowed = (owner.unsqueeze(2) == owner.unsqueeze(1)) & causal  # (R, P, P)
        x = self.embed(ids, positions)
        for layer in self.layers:
            x = layer(x, allowed)
        return torch.as_tensor(self.norm(x))

    def last(self, ids: Tensor) -> Tensor:
        """Return hidden (B, H) of each session's newest click; ids (B, L <= window), right-padded with 0, none empty.

        The last layer computes that one position only.
        """
        length = ids.shape[1]
        steps = torch.arange(length, device=ids.device)
        newest = (ids != PAD).sum(dim=1) - 1  # (B,)
        causal = (steps.unsqueeze(1) >= steps).unsqueeze(0)  # (1, L, L)
        x = self.embed(ids, self._serving_positions(steps, newest))
        for layer in self.layers[:-1]:
            x = layer(x, causal)
        seen = (steps <= newest.unsqueeze(1)).unsqueeze(1)  # (B, 1, L)
        x = self.layers[-1](x, seen, newest)  # (B, 1, H)
        return torch.as_tensor(self.norm(x).squeeze(1))

    def _serving_positions(self, steps: Tensor, newest: Tensor) -> Tensor:
        if self.config.positions == "start":
            return steps.unsqueeze(0)  # (1, L)
        from_end = self.config.window - 1 - newest.unsqueeze(1) + steps  # (B, L)
        return from_end.clamp(max=self.config.window - 1)
