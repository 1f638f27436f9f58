"""One named composition of everything that is learned, of a frozen dataclass a component.

Values are checked where they are made, so that a wrong one is refused before any data is read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from export.checks import require
from model.after.config import AfterConfig
from model.codes.config import CodesConfig
from model.learn.config import LossConfig, NegativesConfig, TrainConfig
from model.nets.config import EncoderConfig, TowerConfig

__all__ = ["Preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One named composition: an encoder, its negatives, loss and training; `committee` trains several of them."""

    name: str
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    negatives: NegativesConfig = field(default_factory=lambda: NegativesConfig(uniform=16_384, in_batch=127, top=100))
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    tower: TowerConfig | None = field(default_factory=TowerConfig)  # of a training with items; None: their ids alone
    codes: CodesConfig | None = None  # the item table as codes; None: dense, a row an item
    after: AfterConfig = field(default_factory=AfterConfig)  # what is put behind the network, in the graph
    committee: tuple[EncoderConfig, ...] = ()  # further encoders, trained alike and ranking together with the first

    def __post_init__(self) -> None:
        """Raise ConfigError where the parts do not fit together."""
        window, masked = self.encoder.window, self.encoder.masked
        fits = self.train.row >= window + masked
        require(fits, f"a packed row ({self.train.row}) must hold a whole window ({window})")
        looks = {
            (one.window, one.masked, one.positions == "end", one.typed, one.preference)
            for one in (self.encoder, *self.committee)
        }
        require(
            len(looks) == 1,
            "the encoders of a committee must look at the same window, all with masks or none, all from its end or "
            "not, and all be told the same",
        )
        weighs = self.loss.objective == "softmax" or self.negatives.each > 0
        require(weighs or self.negatives.own_weight == 1.0, "own_weight needs a softmax, or negatives of each position")
        require(not (self.feedback and self.encoder.masked), "training with masks knows no feedback")
        if self.codes is not None:
            for one in (self.encoder, *self.committee):
                self.codes.require_fit(hidden=one.hidden, interests=one.interests)
        if not any(one.interests for one in (self.encoder, *self.committee)):
            return
        require(not self.committee, "an encoder with several interests ranks alone, not in a committee")
        require(not self.feedback, "an encoder with several interests learns from clicks alone, not from feedback")
        require(not self.negatives.each, "several interests share the batch's negatives: leave out each")
        by_one = self.loss.choice == "target"
        require(by_one or not self.negatives.top, "top chooses by one vector: with several interests, choice target")

    @property
    def feedback(self) -> bool:
        """Whether it matters what an event is: its log keeps skips and dislikes, and says of each what it is."""
        told = self.encoder.typed or self.encoder.preference
        return told or self.negatives.own > 0 or bool(self.loss.target_weights)

    def members(self) -> list[Preset]:
        """Return one preset an encoder, seeds apart; [self] where there is no committee."""
        if not self.committee:
            return [self]
        return [
            replace(
                self, encoder=encoder, committee=(), train=replace(self.train, seed=self.train.seed + 1000 * number)
            )
            for number, encoder in enumerate((self.encoder, *self.committee))
        ]

    def count_of_negatives(self, count: int) -> dict[str, int]:
        """Return the options, for `override`, that draw `count` negatives where this preset draws its own number."""
        kind = "each" if self.negatives.each else "popular" if self.negatives.popular else "uniform"
        return {kind: count, "popular_at_end": 0}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a manifest holds them."""
        return asdict(self)

    def override(self, **options: Any) -> Preset:
        """Return this preset with the options that are not None put in, each by the name its component has for it.

        An encoder's options go to every encoder of a committee. Raises ConfigError for bad values, TypeError for a name
        no component has.
        """
        given = {name: value for name, value in options.items() if value is not None}
        parts: dict[str, Any] = {
            part: getattr(self, part) for part in ("encoder", "negatives", "loss", "train", "after")
        }
        chosen = {part: _options_of(config, given) for part, config in parts.items()}
        unknown = set(given).difference(*chosen.values())
        if unknown:
            raise TypeError(f"no component has an option called {', '.join(sorted(unknown))}")
        parts = {part: replace(config, **chosen[part]) for part, config in parts.items()}
        committee = tuple(replace(encoder, **chosen["encoder"]) for encoder in self.committee)
        return replace(self, **parts, committee=committee)


def _options_of(config: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {known.name: given[known.name] for known in fields(config) if known.name in given}
