"""A variant in one worker: its life, from the announcement that names it to the one that does not any more.

    wanted -> loading -> served            what answers its sessions
                      -> refused           the live model answers them; `reason` says why. Where that may go away (the
                                           registry is away) it is tried again, else once it is announced anew
    any of them -> dropped                 the experiment or the variant was stopped

A variant of no version is ranked by what is live, and served from the beginning. The follower's thread moves it from
state to state; the inference thread reports how it ranks, and refuses it where it ranks nobody.
"""

import logging
import math
from typing import Literal
from weakref import WeakKeyDictionary

import msgspec

from export.experiments.experiment import BUCKETS, Variant
from export.ranking.ranker import Ranker
from stream.experiments.pace import Pace
from stream.path.answers import ItemRanker

__all__ = ["ServedVariant", "VariantHealth", "VariantState"]

log = logging.getLogger(__name__)

VariantState = Literal["wanted", "loading", "served", "refused", "dropped"]


class VariantHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What /health says of one."""

    variant: str
    version: str  # empty: whatever is live
    share: float  # percent of the experiment's sessions
    state: VariantState
    reason: str = ""  # why it is refused, or was stopped


class ServedVariant:
    """`failures`: runs in a row that ranked nobody, after which it is refused."""

    def __init__(self, experiment: str, variant: Variant, failures: int) -> None:
        self.experiment, self.variant = experiment, variant
        self.pace = Pace()  # of the runs it was part of
        self.state: VariantState = "wanted" if variant.version else "served"
        self.reason = self.remedy = ""
        self.retry_at = math.inf  # when a refused one is tried again
        self.tries = 0
        self._ranker: ItemRanker | None = None
        self._toned: WeakKeyDictionary[Ranker, Ranker] = WeakKeyDictionary()  # the same by the variant's preference
        self._failures, self._failed = failures, 0
        if variant.stopped:
            self.drop(variant.stopped)

    def __str__(self) -> str:
        version = f"version {self.variant.version}" if self.variant.version else "what is live"
        return f"experiment {self.experiment}: variant {self.variant.name} ({version})"

    @property
    def name(self) -> str:
        """Of the variant, within its experiment."""
        return self.variant.name

    @property
    def is_settled(self) -> bool:
        """Whether it is known what answers its sessions."""
        return self.state not in ("wanted", "loading")

    @property
    def needs_its_model(self) -> bool:
        """Whether a version is to be loaded, or to be kept."""
        return bool(self.variant.version) and self.state in ("wanted", "loading", "served")

    def ranker(self, live: ItemRanker | None) -> ItemRanker | None:
        """What ranks its sessions, given what is live; None where it is not served."""
        if self.state != "served":
            return None
        return self.as_preferred(self._ranker if self.variant.version else live)

    def as_preferred(self, ranker: ItemRanker | None) -> ItemRanker | None:
        """The ranker as the variant prefers, always the same object; as it is where nothing is preferred."""
        preference = self.variant.preference
        if preference is None or not isinstance(ranker, Ranker):
            return ranker
        toned = self._toned.get(ranker)  # of what is live, and of what is about to be
        return self._toned.setdefault(ranker, ranker.with_preference(preference)) if toned is None else toned

    def load(self) -> None:
        """Its model is being loaded."""
        self.state = "loading"

    def serve(self, ranker: ItemRanker) -> None:
        """Its sessions are ranked by this from now on."""
        self._ranker, self._failed, self.tries = ranker, 0, 0
        self.state, self.reason, self.retry_at = "served", "", math.inf

    def refuse(self, reason: str, remedy: str, *, retry_at: float = math.inf) -> None:
        """The live model answers its sessions."""
        again = self.state == "refused" or self.tries > 1
        self.state, self.reason, self.remedy, self.retry_at = "refused", reason, remedy, retry_at
        self._ranker = None
        self._toned.clear()
        if not again:
            log.error("%s is not served, the live model answers its sessions: %s: %s", self, reason, remedy)

    def drop(self, reason: str) -> None:
        """It was stopped."""
        self.state, self.reason, self._ranker = "dropped", reason, None
        self._toned.clear()

    def ran(self, sessions: int, failed: int, error: str) -> None:
        """A run for some of its sessions is over, of which `failed` were not ranked, the last of them for `error`."""
        self._failed = self._failed + 1 if failed == sessions else 0
        if self._failed >= self._failures and self.state == "served":
            self.refuse(
                f"its ranking failed {self._failed} times in a row: {error}",
                f"the log has the traceback; stop it by `nextclick experiment stop {self.experiment}`, or start the "
                "worker again to have it tried again",
            )

    def health(self) -> VariantHealth:
        """What /health says of it."""
        share = round(100 * self.variant.share / BUCKETS, 2)
        return VariantHealth(self.name, self.variant.version, share, self.state, self.reason)
