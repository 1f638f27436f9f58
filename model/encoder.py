"""What all encoders share, and the Transformer: a session's items in, the vector its next item is scored with out.

Legend: B sessions or packed rows, L positions, T positions read out, H hidden width, V catalogue ids (row 0: padding).
Source: Wilm et al., RecSys 2023 (TRON), after Kang & McAuley, ICDM 2018 (SASRec): x = E[item] * sqrt(H) + P[position],
pre-norm layers, final LayerNorm, item table tied to the output, Xavier initialisation. Masked: Sun et al., CIKM 2019
(BERT4Rec). Rotary positions: Su et al., "RoFormer", 2021. SwiGLU: Shazeer, "GLU Variants Improve Transformer", 2020.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from export.vocabulary import PAD
from model.batch import Batch
from model.config import EncoderConfig
from model.dropout import PooledDropout

ROTARY_BASE = 1_000.0  # wavelengths up to 2 pi times this, in clicks; sessions are far shorter than texts


class Encoder(nn.Module, ABC):
    """Items of sessions in, hidden vectors out; `items.weight` (V + 1, H) scores them."""

    def __init__(self, config: EncoderConfig, catalogue: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = PooledDropout(config.dropout)
        self.input_dropout = PooledDropout(config.dropout if config.input_dropout is None else config.input_dropout)
        self.items = nn.Embedding(catalogue + 1, config.hidden, padding_idx=PAD)

    def initialise(self) -> None:
        """Give every parameter its first value: Xavier for matrices, 0 for biases and for the padding row."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.items.weight[PAD].zero_()

    def look_up(self, ids: Tensor, table: Tensor | None) -> Tensor:
        """Return the item vectors (B, L, H) of ids (B, L), scaled; from `table` where one is given."""
        rows = self.items(ids) if table is None else nn.functional.embedding(ids, table)
        return torch.as_tensor(rows * math.sqrt(self.config.hidden))

    @abstractmethod
    def forward(self, batch: Batch, table: Tensor | None = None) -> Tensor:
        """Return hidden (T, H) of a packed batch; `table` (rows, H) takes the place of the item table for its ids."""

    @abstractmethod
    def last(self, ids: Tensor) -> Tensor:
        """Return hidden (B, H) of each session's next click; ids (B, L <= window), right-padded with 0, none empty."""

    def _newest(self, ids: Tensor) -> Tensor:
        return (ids != PAD).sum(dim=1) - 1  # (B,)


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads and a projection after it."""

    def __init__(self, config: EncoderConfig, dropout: PooledDropout) -> None:
        super().__init__()
        self.heads, self.rotary = config.heads, config.positions == "rotary"
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key_value = nn.Linear(config.hidden, 2 * config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)
        self.dropout = dropout

    def forward(self, queries: Tensor, context: Tensor, allowed: Tensor, turns: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return (B, Q, H) for queries (B, Q, H), context (B, L, H), allowed bool (B or 1, Q, L): True may be seen.

        turns: positions of queries (B, Q) and context (B, L), where they are rotary.
        """
        batch, count, hidden = queries.shape
        width = hidden // self.heads
        key, value = self.key_value(context).chunk(2, dim=-1)  # (B, L, H) each
        query = self.query(queries) * width**-0.5
        if turns is not None:
            query = rotate(query.unflatten(2, (self.heads, width)), turns[0]).flatten(2)
            key = rotate(key.unflatten(2, (self.heads, width)), turns[1]).flatten(2)
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


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Return x (B, L, heads, W), each pair (i, W/2 + i) turned by its position (B, L) times the pair's frequency."""
    half = x.shape[3] // 2
    exponent = torch.arange(half, device=x.device, dtype=torch.float32) / half
    angle = positions.unsqueeze(2).float() * torch.exp(-math.log(ROTARY_BASE) * exponent)  # (B, L, W / 2)
    cos, sin = angle.cos().unsqueeze(2), angle.sin().unsqueeze(2)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=3)


class Layer(nn.Module):
    """One pre-norm layer: attention, then a feed-forward block (ReLU or SwiGLU), each added to its input."""

    def __init__(self, config: EncoderConfig, dropout: PooledDropout) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = Attention(config, dropout)
        self.feed_norm = nn.LayerNorm(config.hidden)
        self.gated = config.activation == "swiglu"
        self.widen = nn.Linear(config.hidden, config.feed_forward * (1 + self.gated))
        self.narrow = nn.Linear(config.feed_forward, config.hidden)
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        allowed: Tensor,
        last: Tensor | None = None,
        turns: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return (B, L, H) for x (B, L, H) and allowed bool (B or 1, L, L); `turns` as Attention takes them.

        With `last` int64 (B,) only that position of each row, (B, 1, H), and `allowed` is (B, 1, L).
        """
        context = self.attention_norm(x)
        queries = context
        if last is not None:
            rows = torch.arange(x.shape[0], device=x.device)
            queries, x = context[rows, last].unsqueeze(1), x[rows, last].unsqueeze(1)  # (B, 1, H)
        x = x + self.dropout(self.attention(queries, context, allowed, turns))
        inner = self.dropout(self._activate(self.widen(self.feed_norm(x))))  # (B, L, F)
        return torch.as_tensor(x + self.dropout(self.narrow(inner)))

    def _activate(self, x: Tensor) -> Tensor:
        if not self.gated:
            return torch.relu(x)
        gate, value = x.chunk(2, dim=-1)
        return nn.functional.silu(gate) * value


class Transformer(Encoder):
    """Pre-norm Transformer over packed rows; causal, or with a mask where the item to find stands."""

    def __init__(self, config: EncoderConfig, catalogue: int) -> None:
        super().__init__(config, catalogue)
        if config.positions in ("start", "end"):
            self.positions = nn.Embedding(config.window + config.masked, config.hidden)
        if config.masked:
            self.mask = nn.Parameter(torch.empty(1, config.hidden))  # stands where an item is to be found
        self.layers = nn.ModuleList(Layer(config, self.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.initialise()

    def embed(self, ids: Tensor, positions: Tensor, table: Tensor | None = None) -> Tensor:
        """Return (B, L, H) for ids and positions (B, L), any integer type; masked: id 0 is the mask."""
        x = self.look_up(ids, table)
        if self.config.masked:
            x = torch.where((ids == PAD).unsqueeze(2), self.mask * math.sqrt(self.config.hidden), x)
        if self.config.positions in ("start", "end"):
            x = x + self.positions(positions)
        return torch.as_tensor(self.input_dropout(x))

    def forward(self, batch: Batch, table: Tensor | None = None) -> Tensor:
        """Return hidden (T, H). A position sees its own session only, and no later click unless masked."""
        allowed = batch.owner.unsqueeze(2) == batch.owner.unsqueeze(1)  # (R, P, P)
        if not self.config.masked:
            length = batch.ids.shape[1]
            allowed &= torch.ones(length, length, dtype=torch.bool, device=allowed.device).tril()
        turns = (batch.positions, batch.positions) if self.config.positions == "rotary" else None
        x = self.embed(batch.ids, batch.positions, table)
        for layer in self.layers:
            x = layer(x, allowed, turns=turns)
        return torch.as_tensor(self.norm(x.flatten(0, 1).index_select(0, batch.cells)))

    def last(self, ids: Tensor) -> Tensor:
        """Return hidden (B, H) of each session's next click; ids (B, L <= window), right-padded with 0, none empty.

        The last layer computes that one position only.
        """
        newest = self._newest(ids)
        if self.config.masked:
            ids, newest = nn.functional.pad(ids, (0, 1)), newest + 1
        steps = torch.arange(ids.shape[1], device=ids.device)
        seen = (steps <= newest.unsqueeze(1)).unsqueeze(1)  # (B, 1, L)
        allowed = seen if self.config.masked else (steps.unsqueeze(1) >= steps).unsqueeze(0)
        positions = self._serving_positions(steps, newest)
        x = self.embed(ids, positions)
        turns, at_last = None, None
        if self.config.positions == "rotary":
            turns, at_last = (positions, positions), (newest.unsqueeze(1), positions)
        for layer in self.layers[:-1]:
            x = layer(x, allowed, turns=turns)
        x = self.layers[-1](x, seen, newest, at_last)  # (B, 1, H)
        return torch.as_tensor(self.norm(x).squeeze(1))

    def _serving_positions(self, steps: Tensor, newest: Tensor) -> Tensor:
        if self.config.positions != "end":
            return steps.unsqueeze(0)  # (1, L)
        right = self.config.window - 1 + self.config.masked
        return (right - newest.unsqueeze(1) + steps).clamp(max=right)  # (B, L)
