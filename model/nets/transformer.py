"""The Transformer over sessions: causal, or with a mask where the item to find stands.

Legend: B sessions or packed rows, L positions, Q of them asking, T positions read out or clicks served, H hidden width.
Source: Wilm et al., RecSys 2023 (TRON), after Kang & McAuley, ICDM 2018 (SASRec): x = E[item] * sqrt(H) + P[position],
pre-norm layers, final LayerNorm. Masked: Sun et al., CIKM 2019 (BERT4Rec). Rotary positions: Su et al., "RoFormer",
2021. SwiGLU: Shazeer, "GLU Variants Improve Transformer", 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from model.learn.batches.batch import Batch
from model.nets.config import EncoderConfig
from model.nets.dropout import PooledDropout
from model.nets.encoder import Encoder
from model.nets.rows import Clicks, Newest, WithFresh

__all__ = ["Attention", "Layer", "Transformer", "rotate"]

ROTARY_BASE = 1_000.0  # wavelengths up to 2 pi times this, in clicks; sessions are far shorter than texts


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads and a projection after it."""

    def __init__(self, config: EncoderConfig, dropout: PooledDropout) -> None:
        super().__init__()
        self.heads, self.rotary = config.heads, config.positions == "rotary"
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key_value = nn.Linear(config.hidden, 2 * config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)
        self.dropout = dropout

    def forward(
        self,
        queries: Tensor,
        context: Tensor,
        allowed: Tensor,
        turns: tuple[Tensor, Tensor] | None,
        asking: Clicks | Newest | None = None,
        seen: Clicks | None = None,
    ) -> Tensor:
        """Return (B, Q, H) for queries (B, Q, H), context (B, L, H), allowed bool (B or 1, Q, L): True may be seen.

        turns: positions of queries (B, Q) and context (B, L), where they are rotary. With `asking` and `seen`, which
        tell what row each stands in, queries, context, positions and what is returned have one leading dimension.
        """
        key, value = self.key_value(context).chunk(2, dim=-1)  # (..., H) each
        width = key.shape[-1] // self.heads
        query = self.query(queries) * width**-0.5
        if turns is not None:
            query = rotate(query.unflatten(-1, (self.heads, width)), turns[0]).flatten(-2)
            key = rotate(key.unflatten(-1, (self.heads, width)), turns[1]).flatten(-2)
        if asking is not None and seen is not None:
            query, key, value = asking.in_rows(query), seen.in_rows(key), seen.in_rows(value)  # (B, Q or L, H)
        mixed = self._mix(query, key, value, allowed)
        return torch.as_tensor(self.output(mixed if asking is None else asking.out_of_rows(mixed)))

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        batch, count, hidden = query.shape
        if self.heads > 1:
            query, key, value = (self._split(x, hidden // self.heads) for x in (query, key, value))
            allowed = allowed.unsqueeze(1)  # (B, 1, Q, L)
        scores = query @ key.transpose(-1, -2)  # (B, [heads,] Q, L)
        weights = torch.softmax(scores.masked_fill(~allowed, -math.inf), dim=-1)
        mixed = self.dropout(weights) @ value
        if self.heads > 1:
            mixed = mixed.transpose(1, 2).reshape(batch, count, hidden)  # (B, Q, H)
        return torch.as_tensor(mixed)

    def _split(self, x: Tensor, width: int) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, width).transpose(1, 2)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Return x (..., heads, W), each pair (i, W/2 + i) turned by its position (...) times the pair's frequency."""
    half = x.shape[-1] // 2
    exponent = torch.arange(half, device=x.device, dtype=torch.float32) / half
    angle = positions.unsqueeze(-1).float() * torch.exp(-math.log(ROTARY_BASE) * exponent)  # (..., W / 2)
    cos, sin = angle.cos().unsqueeze(-2), angle.sin().unsqueeze(-2)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


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
        turns: tuple[Tensor, Tensor] | None = None,
        asking: Clicks | Newest | None = None,
        seen: Clicks | None = None,
    ) -> Tensor:
        """Return (B, L, H) for x (B, L, H) and allowed bool (B or 1, L, L); the rest is as Attention takes it.

        With clicks laid end to end, x is (T, H); `asking` the newest, only they are returned, (B, H), and `allowed` is
        (B, 1, L).
        """
        context = self.attention_norm(x)
        queries = context
        if isinstance(asking, Newest):
            queries, x = context.index_select(0, asking.clicks), x.index_select(0, asking.clicks)  # (B, H)
        x = x + self.dropout(self.attention(queries, context, allowed, turns, asking, seen))
        inner = self.dropout(self._activate(self.widen(self.feed_norm(x))))  # (..., F)
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

    def embed(
        self,
        ids: Tensor,
        positions: Tensor,
        table: Tensor | WithFresh | None = None,
        kinds: Tensor | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        """Return (..., H) for ids, positions and kinds (...), any integer type; masked: id 0 is the mask.

        into (..., H): what a preference adds to every event.
        """
        x = self.say_kinds(self.look_up(ids, table), kinds, ids)
        if into is not None:
            x = x + into
        if self.config.masked:
            x = torch.where((ids == PAD).unsqueeze(-1), self.mask * math.sqrt(self.config.hidden), x)
        if self.config.positions in ("start", "end"):
            x = x + self.positions(positions)
        return torch.as_tensor(self.input_dropout(x))

    def forward(self, batch: Batch, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return hidden (T, H). A position sees its own session only, and no later click unless masked."""
        allowed = batch.owner.unsqueeze(2) == batch.owner.unsqueeze(1)  # (R, P, P)
        if not self.config.masked:
            length = batch.ids.shape[1]
            allowed &= torch.ones(length, length, dtype=torch.bool, device=allowed.device).tril()
        turns = (batch.positions, batch.positions) if self.config.positions == "rotary" else None
        tone = self.tone(batch.preference, len(batch.lengths))
        into = None if tone is None else tone.into[batch.owner.clamp(min=0)]  # (R, P, H)
        x = self.embed(batch.ids, batch.positions, table, batch.kinds, into)
        for layer in self.layers:
            x = layer(x, allowed, turns=turns)
        hidden = self.norm(x.flatten(0, 1).index_select(0, batch.cells))
        return torch.as_tensor(hidden if tone is None else tone.of(batch.sessions).out(hidden))

    def last(
        self,
        ids: Tensor,
        table: Tensor | WithFresh | None = None,
        *,
        kinds: Tensor | None = None,
        preference: Tensor | None = None,
    ) -> Tensor:
        """Return hidden (B, H), as Encoder.last does.

        Padding is computed in attention only, and the last layer computes the newest click only.
        """
        newest = self._newest(ids)
        tone = self.tone(preference, ids.shape[0])
        if self.config.masked:
            ids, newest = nn.functional.pad(ids, (0, 1)), newest + 1
        steps = torch.arange(ids.shape[1], device=ids.device)
        real = steps <= newest.unsqueeze(1)  # (B, L)
        seen = real.unsqueeze(1)  # (B, 1, L)
        allowed = seen if self.config.masked else (steps.unsqueeze(1) >= steps).unsqueeze(0)
        clicks = Clicks.of(real)
        last = Newest(clicks.places.gather(1, newest.unsqueeze(1)).squeeze(1))
        positions = self._serving_positions(steps, newest).expand(ids.shape).flatten()[clicks.cells]  # (T,)
        told = None if kinds is None else kinds.flatten()[clicks.cells]  # (T,)
        into = None if tone is None else tone.into.unsqueeze(1).expand(-1, ids.shape[1], -1)  # (B, L, H)
        x = self.embed(
            ids.flatten()[clicks.cells], positions, table, told, None if into is None else clicks.out_of_rows(into)
        )  # (T, H)
        turns, at_last = None, None
        if self.config.positions == "rotary":
            turns, at_last = (positions, positions), (positions[last.clicks], positions)
        for layer in self.layers[:-1]:
            x = layer(x, allowed, turns, clicks, clicks)
        hidden = self.norm(self.layers[-1](x, seen, at_last, last, clicks))
        return torch.as_tensor(hidden if tone is None else tone.out(hidden))

    def states(self, ids: Tensor, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return (B, L, H); a session is a packed row of its own."""
        newest, steps = self._newest(ids), torch.arange(ids.shape[1], device=ids.device)
        rows = torch.arange(ids.shape[0], device=ids.device).unsqueeze(1)
        owner = torch.where(ids == PAD, -1, rows)  # (B, L)
        cells = torch.arange(ids.numel(), device=ids.device)
        positions = self._serving_positions(steps, newest).expand(ids.shape)
        hidden = self(Batch(ids, positions, owner, cells, cells, cells, cells), table)
        return torch.as_tensor(hidden.view(ids.shape[0], ids.shape[1], -1))

    def _serving_positions(self, steps: Tensor, newest: Tensor) -> Tensor:
        if self.config.positions != "end":
            return steps.unsqueeze(0)  # (1, L)
        right = self.config.window - 1 + self.config.masked
        return (right - newest.unsqueeze(1) + steps).clamp(max=right)  # (B, L)
