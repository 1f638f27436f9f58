"""Every option of what is learned, as one frozen dataclass a component.

Values are checked where they are made, so that a wrong one is refused before any data is read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from export.errors import ConfigError

Positions = Literal["start", "end"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The causal Transformer (model/encoder.py)."""

    hidden: int = 200  # H: width of items, positions and layers
    layers: int = 2  # Transformer layers
    heads: int = 1  # attention heads; must divide `hidden`
    feed_forward: int = 200  # inner width of the feed-forward block
    dropout: float = 0.05  # share of activations dropped, attention weights too; 0.2 for small logs
    window: int = 50  # L: newest clicks the model looks at
    positions: Positions = "start"  # count clicks from the session's start, or back from the window's right end

    def __post_init__(self) -> None:
        """Raise ConfigError for values no encoder can be built from."""
        _require(min(self.hidden, self.layers, self.heads, self.feed_forward) >= 1, "encoder sizes must be at least 1")
        _require(self.hidden % self.heads == 0, f"heads ({self.heads}) must divide hidden ({self.hidden})")
        _require(0.0 <= self.dropout < 1.0, f"dropout must be in [0, 1), got {self.dropout}")
        _require(self.window >= 2, f"window must be at least 2 clicks, got {self.window}")
        _require(self.positions in ("start", "end"), f"positions must be start or end, got {self.positions!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativesConfig:
    """Which items a position is compared with (model/negatives.py)."""

    uniform: int = 16_384  # draws from the whole catalogue, shared by the batch, with replacement
    in_batch: int = 127  # draws from the batch's targets, shared by the batch; a session never gets its own
    top: int = 100  # of all of these, the best scored enter the loss

    def __post_init__(self) -> None:
        """Raise ConfigError where no negative would be left."""
        _require(self.uniform >= 1, f"at least 1 uniform negative is needed, got {self.uniform}")
        _require(self.in_batch >= 0, f"in-batch negatives must not be negative, got {self.in_batch}")
        _require(self.top >= 1, f"top must be at least 1, got {self.top}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The training loop (model/train.py)."""

    epochs: int = 10  # passes over the training sessions
    batch: int = 128  # sessions a step
    lr: float = 5e-4  # Adam's constant learning rate
    seed: int = 0  # weights, order of sessions, negatives and dropout follow from it alone
    threads: int = 0  # CPU threads of torch; 0: one a core. Results repeat bit for bit at the same number only
    row: int = 64  # positions a packed row, at least the encoder's window
    max_seconds: float | None = None  # stop after this time of training, keep the best so far; None: no limit
    checkpoint_every: float = 60.0  # seconds between checkpoints inside an epoch; one is made after each epoch anyway

    def __post_init__(self) -> None:
        """Raise ConfigError for values the loop cannot run with."""
        _require(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}")
        _require(self.batch >= 2, f"batch must be at least 2 sessions, got {self.batch}")
        _require(self.lr > 0.0, f"lr must be positive, got {self.lr}")
        _require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        _require(self.threads >= 0, f"threads must not be negative, got {self.threads}")
        limit = self.max_seconds
        _require(limit is None or limit > 0, f"max_seconds must be positive, got {limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One named composition: an encoder, its negatives, its training."""

    name: str
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError where the parts do not fit together."""
        fits = self.train.row >= self.encoder.window
        _require(fits, f"a packed row ({self.train.row}) must hold a whole window ({self.encoder.window})")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a manifest holds them."""
        return asdict(self)

    def override(
        self,
        *,
        epochs: int | None = None,
        seed: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        threads: int | None = None,
        max_seconds: float | None = None,
        uniform: int | None = None,
        positions: Positions | None = None,
    ) -> Preset:
        """Return this preset with the options that are not None put in. Raises ConfigError for bad values."""
        return replace(
            self,
            encoder=replace(self.encoder, **_given(positions=positions)),
            negatives=replace(self.negatives, **_given(uniform=uniform)),
            train=replace(
                self.train,
                **_given(epochs=epochs, seed=seed, batch=batch, lr=lr, threads=threads, max_seconds=max_seconds),
            ),
        )


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
