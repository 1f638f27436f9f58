"""Every option of how an encoder learns: what it is compared with, what is minimised, and the training itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from export.checks import require, require_finite, require_one_of
from export.events import KINDS, NEGATIVES
from export.providers import Provider

__all__ = ["LossConfig", "NegativesConfig", "Precision", "Rule", "TrainConfig"]

Objective = Literal["softmax", "bce", "gbce", "bpr-max"]
Choice = Literal["best", "target"]
OwnOf = Literal["session", "before"]
Rule = Literal["adam", "adagrad"]
Schedule = Literal["constant", "cosine", "stable"]
FirstItems = Literal["random", "together"]
Precision = Literal["auto", "float32", "bfloat16"]
POSITIVES = frozenset(KINDS) - NEGATIVES


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
        require(min(counts) >= 0, f"numbers of negatives must not be negative, got {counts}")
        require(0.0 < self.ending <= 1.0, f"ending must be in (0, 1], got {self.ending}")
        require(not self.popular_at_end or self.popular > 0, "popular_at_end takes the place of popular: give both")
        require(0.0 <= self.alpha <= 2.0, f"alpha must be in [0, 2], got {self.alpha}")
        shared = self.uniform + self.popular + self.in_batch
        kinds = (self.everything, shared > 0, self.each > 0)
        require(
            sum(kinds) == 1, "negatives are everything, drawn for the batch, or drawn for each position: choose one"
        )
        require(self.in_batch == 0 or self.uniform + self.popular > 0, "in-batch negatives alone are not enough")
        require_one_of("own_of", self.own_of, OwnOf)
        require(self.own >= 0, f"own must not be negative, got {self.own}")
        require(0.0 < self.own_weight < math.inf, f"own_weight must be above 0 and finite, got {self.own_weight}")
        require(not self.each or not self.top, "top chooses among the batch's negatives, not a position's own")


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
        require_one_of("objective", self.objective, Objective)
        require(0.0 <= self.calibration <= 1.0, f"calibration must be in [0, 1], got {self.calibration}")
        require(self.penalty >= 0.0 and self.elu >= 0.0, "penalty and elu must not be negative")
        require_one_of("choice", self.choice, Choice)
        require(min(self.hard, self.repel, self.routing) >= 0.0, "hard, repel and routing must not be negative")
        require(not self.hard or self.objective == "softmax", "hard negatives are weighed in a softmax only")
        require(not (self.hard and self.logq), "hard negatives are weighed as they were drawn: leave out logq")
        require(0.0 < self.mask_share < 1.0, f"mask_share must be in (0, 1), got {self.mask_share}")
        for kind, weight in self.target_weights:
            require(kind in POSITIVES, f"{kind!r} is no target; targets are {', '.join(sorted(POSITIVES))}")
            require(0.0 <= weight < math.inf, f"the weight of {kind} must be 0 or more and finite, got {weight}")
        require(not self.logq or self.objective == "softmax", "logq corrects a softmax only")


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
    schedule: Schedule = "constant"  # cosine: down to 0 at the last step; stable: a decay when its time comes
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
        require_one_of("first_items", self.first_items, FirstItems)
        for name, kind in (("rule", Rule), ("schedule", Schedule), ("precision", Precision), ("device", Provider)):
            require_one_of(name, getattr(self, name), kind)
        require(0.0 < self.epochs < math.inf, f"epochs must be above 0 and finite, got {self.epochs}")
        require(self.batch >= 2, f"batch must be at least 2 sessions, got {self.batch}")
        require(0.0 < self.lr < math.inf, f"lr must be positive and finite, got {self.lr}")
        require(0.0 < self.decay <= 1.0, f"decay must be in (0, 1], got {self.decay}")
        looks = (self.look_every, self.look_sessions)
        require(0.0 <= self.look_gain < 1.0, f"look_gain must be in [0, 1), got {self.look_gain}")
        require(min(looks) > 0, f"look_every and look_sessions must be above 0, got {looks}")
        most = self.max_steps
        require(most is None or most > 0, f"max_steps must be above 0, got {most}")
        counts = (self.reference, self.min_epochs, self.min_steps, self.warmup, self.patience, self.newest_sessions)
        names = "reference, min_epochs, min_steps, warmup, patience and newest_sessions"
        require(min(counts) >= 0, f"{names} must not be negative, got {counts}")
        require(0.0 <= self.ema < 1.0, f"ema must be in [0, 1), got {self.ema}")
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        require(self.threads >= 0, f"threads must not be negative, got {self.threads}")
        limit, valid = self.max_seconds, self.valid_sessions
        require(limit is None or limit > 0, f"max_seconds must be positive, got {limit}")
        require(valid is None or valid > 0, f"valid_sessions must be positive, got {valid}")

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
