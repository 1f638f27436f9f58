"""Round after round of faults on one broker, and what they left lost, wrong or unanswered."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bench.harness.check import Checker
from bench.harness.faults import FAULTS, strike
from bench.harness.plan import Round, rounds
from bench.harness.world import Comparing, Guarantee, World
from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import DeadlineExceeded, wait_for
from stream.messages.contract import decode_recommendation
from stream.redis.sink import PREFIX

__all__ = ["Campaign", "Outcome", "run_campaign"]

_CALM_S = 0.5  # of clicks before the first and after the last fault of a round
_READY_S = 60.0  # for the fleet to be whole again
_ANSWER_S = 45.0  # for all clicks of a round to be answered
_LAST_S = 30.0  # more, at the end, before an unanswered click counts as lost
_PROBES = 40  # clicks after the faults of a round: they must be answered by the model in force


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is to be played. The rounds of a seed are the same whichever of them is first."""

    rounds: int
    seed: int
    first_round: int = 0
    guarantee: Guarantee = "at-least-once"
    fewest: int = 1  # faults of a round
    most: int = 3
    kinds: tuple[str, ...] = tuple(FAULTS)
    rate: float = 300.0  # clicks a second
    comparing: Comparing = "none"  # two models in an experiment, all the time

    def plan(self) -> list[Round]:
        """The rounds to be played."""
        endless = rounds(self.seed, self.kinds, fewest=self.fewest, most=self.most)
        return list(islice(endless, self.first_round, self.first_round + self.rounds))


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a campaign found. Clicks, lists and sessions are counted once each."""

    rounds: int = 0
    lost: int = 0  # clicks neither answered nor rejected, in the end
    wrong: int = 0  # sessions whose row or list differs from the fold's, and rejections and lists that must not be
    unanswered: int = 0  # clicks not answered in time
    guarantee: str
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    clicks: int = 0
    removed: int = 0  # clicks that retention took before a worker had read them, each counted by one
    lists: int = 0
    variants: Counter[str] = field(default_factory=Counter)  # lists of each, once an experiment runs
    repeats: int = 0  # lists and rejections that came again
    seconds: float = 0.0
    restarts: int = 0  # workers started in the place of another
    crashes_unexpected: int = 0  # workers that ended, or left a traceback, without having been told to end
    failed_rounds: list[int] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was lost, wrong, unanswered or crashed."""
        return not (self.lost or self.wrong or self.unanswered or self.crashes_unexpected or self.failed_rounds)

    def as_json(self) -> dict[str, object]:
        """The fields by name."""
        told = {
            name: dict(sorted(found.items())) for name, found in (("faults", self.faults), ("variants", self.variants))
        }
        return {**dataclasses.asdict(self), **told}


def run_campaign(broker: Broker, folder: Path, campaign: Campaign, say: Callable[[str], None]) -> Outcome:
    """Play the rounds on a `broker` without topics; `folder` gets the workers' logs. `say` hears of every round."""
    outcome = Outcome(guarantee=campaign.guarantee, seed=campaign.seed)
    begun = time.monotonic()
    world = World(
        broker,
        folder,
        guarantee=campaign.guarantee,
        rate=campaign.rate,
        seed=campaign.seed,
        comparing=campaign.comparing,
    )
    exactly_once = campaign.guarantee == "exactly-once"
    checker = Checker(
        broker.bootstrap, world.changelog, world.rankers, exactly_once=exactly_once, experiment=world.experiment
    )
    world.checker = checker
    try:
        world.fleet.await_ready(world.model, world.partitions, _READY_S)
        for round_ in campaign.plan():
            findings = _Play(world, checker, outcome, say).play(round_)
            for finding in findings:
                say(f"    {finding}")
            if findings:
                outcome.failed_rounds.append(round_.number)
        outcome.lost = checker.settle(_LAST_S)
        checker.check_sessions(everything=True)
    finally:
        checker.close()
        world.close()
    outcome.wrong = len(checker.wrong)
    outcome.removed, outcome.variants = checker.removed, checker.variants
    outcome.clicks, outcome.lists, outcome.repeats = checker.clicks, checker.lists, checker.repeats
    outcome.restarts, outcome.seconds = world.fleet.restarts, round(time.monotonic() - begun, 1)
    return outcome


class _Play:
    """One round, and its findings."""

    def __init__(self, world: World, checker: Checker, outcome: Outcome, say: Callable[[str], None]) -> None:
        self._world, self._checker, self._outcome, self._say = world, checker, outcome, say

    def play(self, round_: Round) -> list[str]:
        """Clicks and faults, then quiet, then the comparison; what was found, nothing if all is well."""
        world, checker, outcome = self._world, self._checker, self._outcome
        begun, clicks, wrong, crashes = time.monotonic(), checker.clicks, len(checker.wrong), len(world.fleet.crashes)
        checker.begin_round()
        world.models = {world.model}
        world.fleet.excused, world.findings = (), []
        with world.traffic:
            time.sleep(_CALM_S)
            happened = strike(world, round_.faults)
            time.sleep(_CALM_S)
        world.storefront.flush()
        struck_s = time.monotonic() - begun
        findings = world.findings + self._await_fleet()
        ready_s = time.monotonic() - begun
        findings += self._probe()
        findings += checker.wrong[wrong:]
        crashed = world.fleet.crashes[crashes:] + world.fleet.tracebacks()
        outcome.crashes_unexpected += len(crashed)
        outcome.rounds += 1
        outcome.faults.update(fault.kind for fault in round_.faults)
        seconds = time.monotonic() - begun
        self._say(
            f"round {round_.number} (seed {round_.seed}): {'FAILED' if findings or crashed else 'good'}, "
            f"{seconds:.1f} s (faults over at {struck_s:.1f}, workers ready at {ready_s:.1f}), "
            f"{checker.clicks - clicks} clicks; {', '.join(happened)}"
        )
        return findings + crashed

    def _await_fleet(self) -> list[str]:
        world = self._world
        try:
            world.fleet.await_ready(world.model, world.partitions, _READY_S)
        except DeadlineExceeded as error:
            return [f"{error}: {world.fleet.describe()}"]
        return []

    def _probe(self) -> list[str]:
        """Some clicks when all is calm again; then everything is compared."""
        world, checker = self._world, self._checker
        known = len(world.storefront.sent)
        world.traffic.probe(_PROBES)
        world.storefront.flush()
        probed = {one.click.session_id for one in world.storefront.sent[known:]}
        unanswered = checker.settle(_ANSWER_S)
        self._outcome.unanswered += unanswered
        checker.check_sessions()
        checker.check_last(probed, world.model)
        if strange := checker.models - world.models:
            checker.wrong.append(f"lists by models that were not in force: {sorted(strange)}")
        late = [f"{unanswered} clicks unanswered: {checker.describe_unanswered()}"] if unanswered else []
        return late + self._check_redis(probed)

    def _check_redis(self, sessions: set[str]) -> list[str]:
        """Redis has the last list of these sessions, soon: of one whose clicks moved, that of either partition, as old
        clicks may have been answered again beside the new ones."""
        last = self._checker.last_of

        def behind() -> list[str]:
            with self._world.redis.client() as client:
                rows = client.mget([PREFIX + name for name in sorted(sessions)])
            found = {name: row and decode_recommendation(row) for name, row in zip(sorted(sessions), rows, strict=True)}
            return [name for name, one in found.items() if one is None or one != last(one.source.partition, name)]

        try:
            wait_for("Redis to have the last lists", lambda: not behind(), 10)
        except DeadlineExceeded:
            return [f"Redis has not the last list of {behind()[:5]}"]
        return []
