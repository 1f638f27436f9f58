"""Every option of what turns a session into a vector, and attributes into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from export.checks import require, require_finite, require_one_of

__all__ = ["EncoderConfig", "TowerConfig"]

Kind = Literal["transformer", "gru", "clicked"]
Activation = Literal["relu", "swiglu"]
Positions = Literal["start", "end", "rotary", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """What turns a session into the vector its next item is scored with (model/nets/transformer.py, gru.py)."""

    kind: Kind = "transformer"
    hidden: int = 200  # H: width of items, positions and layers
    layers: int = 2
    heads: int = 1  # attention heads; must divide `hidden`
    feed_forward: int = 200  # inner width of the feed-forward block
    activation: Activation = "relu"  # of that block
    dropout: float = 0.05  # share of activations dropped, attention weights too; 0.2 for small logs
    input_dropout: float | None = None  # share of the item vectors' entries dropped; None: as `dropout`
    window: int = 50  # L: newest clicks the model looks at
    positions: Positions = "start"  # counted from the session's start, back from the window's end, by rotation, or not
    residual: bool = False  # GRU: the newest item is added to its output and the sum normalised
    interests: int = 0  # K: vectors of a session, pooled from its clicks' states; 0: the newest click's state alone
    interest_inner: int = 0  # width inside that pooling; 0: four times `hidden`
    anchored: bool = False  # the newest click's state is added to every interest
    masked: bool = False  # attention to both sides, and a mask where the item to find stands (BERT4Rec)
    typed: bool = False  # what each event is (click, order, skip ...) is an input; skips and dislikes are read too
    preference: bool = False  # told what orders are worth against clicks, 0..1: one model for every trade-off

    def __post_init__(self) -> None:
        """Raise ConfigError for values no encoder can be built from."""
        require_finite(self)
        require_one_of("kind", self.kind, Kind)
        require_one_of("activation", self.activation, Activation)
        require_one_of("positions", self.positions, Positions)
        require(min(self.hidden, self.layers, self.heads, self.feed_forward) >= 1, "encoder sizes must be at least 1")
        require(self.hidden % self.heads == 0, f"heads ({self.heads}) must divide hidden ({self.hidden})")
        require(
            self.positions != "rotary" or self.hidden // self.heads % 2 == 0, "rotary positions need an even head width"
        )
        for share in (self.dropout, self.input_dropout or 0.0):
            require(0.0 <= share < 1.0, f"dropout must be in [0, 1), got {share}")
        require(self.window >= 2, f"window must be at least 2 clicks, got {self.window}")
        require(not self.masked or self.kind == "transformer", "only a Transformer can be trained with masks")
        require(min(self.interests, self.interest_inner) >= 0, "numbers of interests must not be negative")
        require(not (self.masked and self.interests), "training with masks knows no interests")
        require(self.kind != "clicked" or self.interests > 0, "an encoder without layers needs interests")
        told = self.typed or self.preference
        require(not (self.interests and told), "an encoder with several interests takes items alone")
        require(not (self.masked and told), "an encoder that is trained with masks takes items alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerConfig:
    """What an item's attributes add to the row of its id (model/nets/tower.py), where a training is given items."""

    inner: int = 128  # width of the network between attributes and vector
    id_dropout: float = 0.3  # share of the items whose id row is left out in a step: attributes alone carry them then
    most: int = 50_000  # values with a row of their own, the most frequent
    least: int = 2  # items that have such a value; the rest share rows by their hash
    shared: int = 256  # rows for that rest
    bands: int = 16  # price bands of equal counts

    def __post_init__(self) -> None:
        """Raise ConfigError for values no tower can be built from."""
        require_finite(self)
        require(min(self.inner, self.least, self.shared, self.bands) >= 1, "the sizes of a tower must be at least 1")
        require(self.most >= 0, f"most must not be negative, got {self.most}")
        require(0.0 <= self.id_dropout < 1.0, f"id_dropout must be in [0, 1), got {self.id_dropout}")
