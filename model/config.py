"""Every option of what is learned, as one frozen dataclass a component.

Values are checked where they are made, so that a wrong one is refused before any data is read.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from export.checks import require_finite
from export.errors import ConfigError
from export.events import KINDS, NEGATIVES
from export.providers import Provider
from model.after.config import AfterConfig
from model.codes.config import CodesConfig

__all__ = [
    "EncoderConfig",
    "LossConfig",
    "NegativesConfig",
    "Precision",
    "Preset",
    "Rule",
    "TowerConfig",
    "TrainConfig",
]

Kind = Literal["transformer", "gru", "clicked"]
Activation = Literal["relu", "swiglu"]
Positions = Literal["start", "end", "rotary", "none"]
Objective = Literal["softmax", "bce", "gbce", "bpr-max"]
Choice = Literal["best", "target"]
OwnOf = Literal["session", "before"]
Rule = Literal["adam", "adagrad"]
Schedule = Literal["constant", "cosine", "stable", "falling"]
FirstItems = Literal["random", "together"]
Precision = Literal["auto", "float32", "bfloat16"]
POSITIVES = frozenset(KINDS) - NEGATIVES


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_one_of(name: str, value: object, kind: Any) -> None:
    _require(value in get_args(kind), f"{name} is one of {', '.join(get_args(kind))}, not {value!r}")


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
        _require_one_of("kind", self.kind, Kind)
        _require_one_of("activation", self.activation, Activation)
        _require_one_of("positions", self.positions, Positions)
        _require(min(self.hidden, self.layers, self.heads, self.feed_forward) >= 1, "encoder sizes must be at least 1")
        _require(self.hidden % self.heads == 0, f"heads ({self.heads}) must divide hidden ({self.hidden})")
        _require(
            self.positions != "rotary" or self.hidden // self.heads % 2 == 0, "rotary positions need an even head width"
        )
        for share in (self.dropout, self.input_dropout or 0.0):
            _require(0.0 <= share < 1.0, f"dropout must be in [0, 1), got {share}")
        _require(self.window >= 2, f"window must be at least 2 clicks, got {self.window}")
        _require(not self.masked or self.kind == "transformer", "only a Transformer can be trained with masks")
        _require(min(self.interests, self.interest_inner) >= 0, "numbers of interests must not be negative")
        _require(not (self.masked and self.interests), "training with masks knows no interests")
        _require(self.kind != "clicked" or self.interests > 0, "an encoder without layers needs interests")
        told = self.typed or self.preference
        _require(not (self.interests and told), "an encoder with several interests takes items alone")
        _require(not (self.masked and told), "an encoder that is trained with masks takes items alone")


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
        _require(min(self.inner, self.least, self.shared, self.bands) >= 1, "the sizes of a tower must be at least 1")
        _require(self.most >= 0, f"most must not be negative, got {self.most}")
        _require(0.0 <= self.id_dropout < 1.0, f"id_dropout must be in [0, 1), got {self.id_dropout}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativesConfig:
    """Which items a position is compared with (model/learn/batches/negatives.py). All but `each` are shared."""

    everything: bool = False  # the whole catalogue, no sampling
    uniform: int = 0  # draws from the whole catalogue, with replacement
    popular: int = 0  # distinct items, each with probability ~ clicks^alpha; all of them in a small catalogue
    popular_at_end: int = 0  # so many instead in the last steps, see `ending`: ranks the top better, costs more
    ending: float = 0.25  # share of the training's steps that are its last
    alpha: float = 0.5  # 0: every item alike; 1: by clicks
    in_batch: int = 0  # draws from the batch's targets; a session never gets its own
    each: int = 0  # uniform draws of each position's own (SASRec), instead of all the others
    top: int = 0  # of all of these, the best scored enter the loss; 0: all do
    own: int = 0  # of the session's own skips and dislikes, so many at most are always in the loss, beside the above
    own_of: OwnOf = "session"  # those of the whole session, or those before the position
    own_weight: float = 1.0  # what one of them counts, where a drawn one counts 1

    def __post_init__(self) -> None:
        """Raise ConfigError where no negative would be left, or where kinds exclude each other."""
        require_finite(self)
        counts = (self.uniform, self.popular, self.popular_at_end, self.in_batch, self.each, self.top)
        _require(min(counts) >= 0, f"numbers of negatives must not be negative, got {counts}")
        _require(0.0 < self.ending <= 1.0, f"ending must be in (0, 1], got {self.ending}")
        _require(not self.popular_at_end or self.popular > 0, "popular_at_end takes the place of popular: give both")
        _require(0.0 <= self.alpha <= 2.0, f"alpha must be in [0, 2], got {self.alpha}")
        shared = self.uniform + self.popular + self.in_batch
        kinds = (self.everything, shared > 0, self.each > 0)
        _require(
            sum(kinds) == 1, "negatives are everything, drawn for the batch, or drawn for each position: choose one"
        )
        _require(self.in_batch == 0 or self.uniform + self.popular > 0, "in-batch negatives alone are not enough")
        _require_one_of("own_of", self.own_of, OwnOf)
        _require(self.own >= 0, f"own must not be negative, got {self.own}")
        _require(0.0 < self.own_weight < math.inf, f"own_weight must be above 0 and finite, got {self.own_weight}")
        _require(not self.each or not self.top, "top chooses among the batch's negatives, not a position's own")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What is minimised (model/learn/losses/objectives.py)."""

    objective: Objective = "softmax"
    logq: bool = False  # softmax: correct a sampled negative's score by the log of its expected number of draws
    calibration: float = 0.75  # gBCE's t: 0 is plain BCE, 1 fully calibrated
    penalty: float = 0.0  # BPR-max: regularisation of the negatives' scores
    elu: float = 0.0  # BPR-max: scores pass an ELU with this alpha first; 0: they do not
    hard: float = 0.0  # softmax: REMI's beta, how much better scored negatives count more; 0: as they are
    choice: Choice = "best"  # of several interests: the best for each item, or the best for the target for all of them
    repel: float = 0.0  # weight of a penalty on interests that point the same way
    routing: float = 0.0  # weight of REMI's penalty on interests that look at one click alone
    mask_share: float = 0.4  # masked training: share of a session's items masked
    target_weights: tuple[tuple[str, float], ...] = ()  # what finding a kind of event counts, (("order", 5.0),); else 1

    def __post_init__(self) -> None:
        """Raise ConfigError for values without a meaning."""
        require_finite(self)
        _require_one_of("objective", self.objective, Objective)
        _require(0.0 <= self.calibration <= 1.0, f"calibration must be in [0, 1], got {self.calibration}")
        _require(self.penalty >= 0.0 and self.elu >= 0.0, "penalty and elu must not be negative")
        _require_one_of("choice", self.choice, Choice)
        _require(min(self.hard, self.repel, self.routing) >= 0.0, "hard, repel and routing must not be negative")
        _require(not self.hard or self.objective == "softmax", "hard negatives are weighed in a softmax only")
        _require(not (self.hard and self.logq), "hard negatives are weighed as they were drawn: leave out logq")
        _require(0.0 < self.mask_share < 1.0, f"mask_share must be in (0, 1), got {self.mask_share}")
        for kind, weight in self.target_weights:
            _require(kind in POSITIVES, f"{kind!r} is no target; targets are {', '.join(sorted(POSITIVES))}")
            _require(0.0 <= weight < math.inf, f"the weight of {kind} must be 0 or more and finite, got {weight}")
        _require(not self.logq or self.objective == "softmax", "logq corrects a softmax only")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The training loop (model/learn/train.py) and its optimizer (model/learn/optimizer.py)."""

    epochs: float = 10  # passes over the training sessions
    reference: int = 0  # sessions that `epochs` is meant for: a log n times as large gets 1 / sqrt(n) as many; 0: any
    min_epochs: float = 0.0  # but so many at least, however large the log
    min_steps: int = 0  # and so many steps at least, however small the log
    max_steps: int | None = None  # but no more than so many, whatever else is said; None: no limit
    batch: int = 128  # sessions a step
    newest_sessions: int = 0  # only so many are drawn, those that ended last; a pass is one over them; 0: all
    rule: Rule = "adam"
    lr: float = 5e-4  # learning rate, at the schedule's top
    schedule: Schedule = "constant"  # cosine, falling: down to 0 at the last step; stable: a decay when its time comes
    decay: float = 0.25  # stable: steps of the decay, as a share of those before it
    look_every: float = 0.5  # stable: passes between two looks at held-out sessions, at least
    look_sessions: int = 1_500  # of them
    look_gain: float = 0.005  # by such a share must Recall@20 + MRR@20 be above the best look, to be a gain
    patience: int = 2  # stable: looks without a gain, after which the decay begins; 0: no looks, by steps alone
    warmup: int = 0  # steps in which the rate rises to `lr`
    first_items: FirstItems = "random"  # first item vectors; together: by what is clicked together
    ema: float = 0.0  # decay a step of the average of the weights that is validated and exported; 0: the weights
    lazy: bool | None = None  # update only the item rows a step touched; None: where the catalogue is so large it pays
    precision: Precision = "auto"  # of the products with the catalogue; auto: bfloat16 where the processor has it
    seed: int = 0  # weights, order of sessions, negatives and dropout follow from it alone
    device: Provider = "cpu"
    threads: int = 0  # CPU threads of torch; 0: one a core. Results repeat bit for bit at the same number only
    row: int = 64  # positions a packed row, at least the encoder's window
    max_seconds: float | None = None  # stop after this time of training, keep the best so far; None: no limit
    checkpoint_every: float = 60.0  # seconds between checkpoints inside an epoch; one is made after each epoch anyway
    validate_epochs: bool = True  # validate after each epoch; False: once, at the end
    valid_sessions: int | None = None  # held-out sessions to validate on, evenly over their time; None: all of them

    def __post_init__(self) -> None:
        """Raise ConfigError for values the loop cannot run with."""
        require_finite(self)
        _require_one_of("first_items", self.first_items, FirstItems)
        for name, kind in (("rule", Rule), ("schedule", Schedule), ("precision", Precision), ("device", Provider)):
            _require_one_of(name, getattr(self, name), kind)
        _require(0.0 < self.epochs < math.inf, f"epochs must be above 0 and finite, got {self.epochs}")
        _require(self.batch >= 2, f"batch must be at least 2 sessions, got {self.batch}")
        _require(0.0 < self.lr < math.inf, f"lr must be positive and finite, got {self.lr}")
        _require(0.0 < self.decay <= 1.0, f"decay must be in (0, 1], got {self.decay}")
        looks = (self.look_every, self.look_sessions)
        _require(0.0 <= self.look_gain < 1.0, f"look_gain must be in [0, 1), got {self.look_gain}")
        _require(min(looks) > 0, f"look_every and look_sessions must be above 0, got {looks}")
        most = self.max_steps
        _require(most is None or most > 0, f"max_steps must be above 0, got {most}")
        counts = (self.reference, self.min_epochs, self.min_steps, self.warmup, self.patience, self.newest_sessions)
        names = "reference, min_epochs, min_steps, warmup, patience and newest_sessions"
        _require(min(counts) >= 0, f"{names} must not be negative, got {counts}")
        _require(0.0 <= self.ema < 1.0, f"ema must be in [0, 1), got {self.ema}")
        _require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        _require(self.threads >= 0, f"threads must not be negative, got {self.threads}")
        limit, valid = self.max_seconds, self.valid_sessions
        _require(limit is None or limit > 0, f"max_seconds must be positive, got {limit}")
        _require(valid is None or valid > 0, f"valid_sessions must be positive, got {valid}")

    def drawn(self, sessions: int) -> int:
        """Return of how many of so many sessions the steps are drawn."""
        return min(sessions, self.newest_sessions or sessions)

    def steps(self, sessions: int) -> tuple[int, int]:
        """Return the steps of one epoch and of the whole training on a log of so many sessions."""
        sessions = self.drawn(sessions)
        epoch = -(-sessions // self.batch)
        epochs = self.epochs * math.sqrt(self.reference / sessions) if self.reference else self.epochs
        epochs = max(epochs, self.min_epochs)
        steps = max(round(epoch * epochs), self.min_steps, 1)
        return epoch, steps if self.max_steps is None else min(steps, self.max_steps)


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
        _require(fits, f"a packed row ({self.train.row}) must hold a whole window ({window})")
        looks = {
            (one.window, one.masked, one.positions == "end", one.typed, one.preference)
            for one in (self.encoder, *self.committee)
        }
        _require(
            len(looks) == 1,
            "the encoders of a committee must look at the same window, all with masks or none, all from its end or "
            "not, and all be told the same",
        )
        weighs = self.loss.objective == "softmax" or self.negatives.each > 0
        _require(
            weighs or self.negatives.own_weight == 1.0, "own_weight needs a softmax, or negatives of each position"
        )
        _require(not (self.feedback and self.encoder.masked), "training with masks knows no feedback")
        if self.codes is not None:
            for one in (self.encoder, *self.committee):
                self.codes.require_fit(hidden=one.hidden, interests=one.interests)
        if not any(one.interests for one in (self.encoder, *self.committee)):
            return
        _require(not self.committee, "an encoder with several interests ranks alone, not in a committee")
        _require(not self.feedback, "an encoder with several interests learns from clicks alone, not from feedback")
        _require(not self.negatives.each, "several interests share the batch's negatives: leave out each")
        by_one = self.loss.choice == "target"
        _require(by_one or not self.negatives.top, "top chooses by one vector: with several interests, choice target")

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
