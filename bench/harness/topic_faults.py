"""Faults of an operator: topics get more partitions, are deleted and made again, or lose clicks that nobody has read.

Each waits until no other fault is under way, and is alone then: what must come out of it would depend on the others.
The workers must say what is wrong and end with exit code 2, and once the operator has done what they say, all goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from random import Random

from confluent_kafka import KafkaException

from bench.harness.plan import Steps
from bench.harness.world import GROUP, World
from bench.rig.brokers.process import DeadlineExceeded, wait_for
from bench.rig.operator import COMPACTED

__all__ = [
    "changelog_remade",
    "clicks_remade",
    "partitions_added",
    "recommendations_remade",
    "retention",
]

_TOLD_S = 30.0  # for every worker to say what is wrong, and to end
_READY_S = 60.0
_ANSWER_S = 45.0
_UNREAD = 150  # clicks that come while all workers are paused, most of which are removed
_KEPT = 4  # of them, in each partition


def partitions_added(world: World, random: Random) -> Steps:
    """The clicks get a partition more, and, when the workers have said so, the states, too."""
    yield from _calm(world)
    more = world.partitions + 1
    with world.traffic.held():
        world.operator.grow("clicks", more)
        _await_end(world, f"--topic {world.changelog} --partitions {more}")
        world.operator.grow(world.changelog, more)
        world.storefront.refresh()
        world.checker.grown()
    world.partitions = more
    _await_ready(world)
    return f"{more} partitions"


def clicks_remade(world: World, random: Random) -> Steps:
    """The clicks' topic is deleted and made again, at once or when the workers have ended; their states are reset."""
    yield from _calm(world)
    at_once = random.random() < 0.5
    with world.traffic.held():
        world.checker.read()
        logs = world.fleet.logs
        world.operator.delete("clicks")
        if at_once:
            world.operator.make("clicks", world.partitions)
        _await_end(world, "clicks")
        world.checker.start_anew(None if at_once else partial(world.operator.make, "clicks", world.partitions))
    _await(world, "a worker to refuse the old states", lambda: world.fleet.said("start the workers with --reset", logs))
    world.fleet.extra = ("--reset-state",)
    _await_ready(world)
    world.fleet.extra = ()
    return "at once" if at_once else "later"


def changelog_remade(world: World, random: Random) -> Steps:
    """The states' topic is deleted and made again: sessions start anew, and no click is lost."""
    yield from _calm(world)
    with world.traffic.held():
        _settle(world)
        _await_committed(world)  # a click that is read again would find no state
        world.operator.delete(world.changelog)
        _await_end(world, world.changelog)
        world.operator.make(world.changelog, world.partitions, COMPACTED)
        world.checker.states_gone()
    _await_ready(world)
    return "sessions start anew"


def recommendations_remade(world: World, random: Random) -> Steps:
    """The lists' topic is deleted and made again."""
    yield from _calm(world)
    with world.traffic.held():
        _settle(world)
        world.operator.remake("recommendations")
        world.checker.lists_gone()
        _await_end(world, "recommendations")
    _await_ready(world)
    return "lists start anew"


def retention(world: World, random: Random) -> Steps:
    """Clicks are removed while all workers are paused: those that none had read are counted, to the last one."""
    yield from _calm(world)
    _await_ready(world)
    said = len(world.fleet.losses())
    with world.traffic.held():
        world.checker.read()
        before = len(world.storefront.sent)
        members = world.fleet.pause_all()
        for _ in range(_UNREAD):
            world.traffic.click(f"s{random.randrange(300)}")
        world.storefront.flush()
        world.checker.hold()
        newest = {
            one.partition: one.offset for one in sorted(world.storefront.sent[before:], key=lambda one: one.offset)
        }
        world.operator.remove("clicks", {number: max(offset - _KEPT, 0) for number, offset in newest.items()})
        for member in members:
            world.fleet.resume(member)
        _await_ready(world)
        _await_committed(world)  # their lag is of before they were paused, until they read on
        losses = world.fleet.losses()[said:]
        removed = {(number, offset) for _, number, first, last in losses for offset in range(first, last + 1)}
        if sum(count for count, *_ in losses) != len(removed):
            world.findings.append(f"clicks removed unread were counted twice, or not at all: {losses}")
        if strange := world.checker.release(removed):
            world.findings.append(f"counted as removed unread, but no click stood there: {strange[:5]}")
    return f"{len(removed)} clicks unread"


def _calm(world: World) -> Generator[float, None, None]:
    """Wait for what other faults have stopped."""
    while not world.broker_up or world.fleet.frozen:
        yield 0.1


def _await_end(world: World, words: str) -> None:
    """All workers that run now end, and one of them has said why."""
    world.fleet.excused = (*world.fleet.excused, words)
    running = world.fleet.running(untold=True)  # the others may end of what they were told
    _await(
        world, f"the workers to end because of {words}", lambda: all(one.process.poll() is not None for one in running)
    )
    codes = {one.process.returncode for one in running} - {2}
    told = [one for one in running if words in one.log.read_text(errors="replace")]
    if codes or (running and not told):
        world.findings.append(f"workers ended with {codes or 2}, {len(told)} of {len(running)} said {words!r}")


def _settle(world: World) -> None:
    if unanswered := world.checker.settle(_ANSWER_S):
        world.findings.append(f"{unanswered} clicks unanswered: {world.checker.describe_unanswered()}")


def _await_committed(world: World) -> None:
    """A transaction's marker may stand behind the last click, and is not committed; in a topic that was made again a
    partition may have none yet."""
    newest = {sent.partition: sent.offset + 1 for sent in world.storefront.sent}

    def committed() -> bool:
        try:
            found = world.operator.committed(GROUP, "clicks")
        except KafkaException:  # a broker that has just come back
            return False
        return all(offset >= min(end, newest.get(number, 0)) for number, (offset, end) in found.items())

    _await(world, "all clicks to be committed", committed, every_s=0.5)


def _await_ready(world: World) -> None:
    try:
        world.fleet.await_ready(world.model, world.partitions, _READY_S)
    except DeadlineExceeded as error:
        world.findings.append(f"{error}: {world.fleet.describe()}")


def _await(world: World, what: str, probe: Callable[[], bool], every_s: float = 0.05) -> None:
    try:
        wait_for(what, probe, _TOLD_S, every_s)
    except DeadlineExceeded as error:
        world.findings.append(f"{error}: {world.fleet.describe()}")
