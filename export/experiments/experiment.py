"""An experiment: which variants there are, and which one a session is shown.

Two hashes of the experiment's name and the session decide, each a number of 10,000 buckets: the first whether the
session is in the experiment at all, the second its variant. So a session keeps its variant for as long as the
experiment runs, also when more sessions are let in; and experiments are independent of each other.
Source: Tang et al., "Overlapping experiment infrastructure", KDD 2010 (section 4: diversion by a hash).
"""

import hashlib
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from export.errors import ConfigError
from export.registry.registry import check_variant

__all__ = ["BUCKETS", "CONTROL", "INTERLEAVED", "Experiment", "State", "Variant", "buckets", "check_name"]

BUCKETS = 10_000
CONTROL = 0  # the place of the variant that the others are compared with
INTERLEAVED = "interleaved"  # the variant of a list that is drafted from those of two
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

State = Literal["running", "stopped"]


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the models that are compared."""

    name: str
    version: Annotated[str, Meta(description="of the bundle; empty: whatever is live for the variant `default`")] = ""
    uri: Annotated[str, Meta(description="where the bundle lies: <registry>/<version>")] = ""
    sha256: Annotated[str, Meta(description="of the bundle's manifest.json, in hexadecimal")] = ""
    share: Annotated[
        int, Meta(description="buckets of 10,000 of the experiment's sessions; all shares make 10,000")
    ] = 0
    preference: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="weight of orders against clicks, for a model that is told it; null: the worker's"),
    ] = None
    stopped: Annotated[str, Meta(description="why the variant is served no more; empty: it is")] = ""


class Experiment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What workers and scoreboards hear of one, on the compacted topic `models`, keyed `experiment:<name>`."""

    experiment: Annotated[str, Meta(description="the experiment's name")]
    variants: Annotated[tuple[Variant, ...], Meta(description="the first is the control")]
    exposure: Annotated[int, Meta(description="buckets of 10,000: how many of all sessions take part")] = BUCKETS
    interleave: Annotated[bool, Meta(description="true: lists of two variants become one, by team draft")] = False
    state: State = "running"
    started_ts: Annotated[int, Meta(description="milliseconds since the epoch")] = 0
    announced_ts: Annotated[int, Meta(description="milliseconds since the epoch")] = 0
    reason: Annotated[str, Meta(description="why it was stopped")] = ""

    def check(self) -> "Experiment":
        """Return it, or raise ConfigError where it contradicts itself."""
        check_name(self.experiment)
        names = [check_variant(variant.name) for variant in self.variants]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ConfigError(f"experiment {self.experiment}: give two variants or more, each with a name of its own")
        if INTERLEAVED in names:
            raise ConfigError(f"experiment {self.experiment}: {INTERLEAVED} is what lists of two variants are called")
        if self.interleave and len(names) != 2:
            raise ConfigError(f"experiment {self.experiment}: two variants are interleaved, not {len(names)}")
        shares = [variant.share for variant in self.variants]
        if min(shares) < 1 or sum(shares) != BUCKETS:
            raise ConfigError(
                f"experiment {self.experiment}: the shares of its variants must make 100 %, not {sum(shares) / 100:g} %"
            )
        if not 1 <= self.exposure <= BUCKETS:
            raise ConfigError(f"experiment {self.experiment}: exposure must be above 0 and at most 100 %")
        return self

    def variant_of(self, session_id: str) -> Variant | None:
        """The variant of a session; None where it takes no part, or the experiment or the variant was stopped.

        Where lists are interleaved, the sessions of either variant are in the experiment alike.
        """
        if self.state != "running":
            return None
        exposed, place = buckets(self.experiment, session_id)
        if exposed >= self.exposure:
            return None
        for variant in self.variants:
            if place < variant.share:
                return None if variant.stopped else variant
            place -= variant.share
        return None


def buckets(experiment: str, session_id: str) -> tuple[int, int]:
    """Two independent numbers in 0..9,999 of a session in an experiment: for its exposure, and for its variant."""
    digest = hashlib.blake2b(session_id.encode(), key=experiment.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS, int.from_bytes(digest[8:], "big") % BUCKETS


def check_name(name: str) -> str:
    """Return the name of an experiment, or raise ConfigError: it is part of keys and files."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of an experiment: letters, digits, _ and - (not first), 64 at most, like new-model"
        )
    return name
