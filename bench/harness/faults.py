"""The faults, each a generator: what it does at once, seconds to wait, what it does then, and so on.

`strike` runs those of a round in one thread, interleaved. Each yields seconds to wait; its result says what it did.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from random import Random

from bench.harness.plan import Planned, Steps
from bench.harness.topic_faults import (
    changelog_remade,
    clicks_remade,
    partitions_added,
    recommendations_remade,
    retention,
)
from bench.harness.traffic import send_hostile
from bench.harness.world import PARTITIONS, SESSION_TIMEOUT_S, WORKERS, World

__all__ = ["FAULTS", "TOPIC_FAULTS", "Fault", "strike"]

Fault = Callable[[World, Random], Steps]

_TINY_QUEUE = ("--kafka", "queue.buffering.max.messages=10")


def _short(random: Random) -> float:
    """Seconds below any time-out."""
    return random.uniform(0.2, 1.0)


def _long(random: Random) -> float:
    """Seconds above the session time-out and every delivery time-out."""
    return SESSION_TIMEOUT_S + random.uniform(0.3, 2.0)


def kill(world: World, random: Random) -> Steps:
    """SIGKILL a worker."""
    killed = world.fleet.kill(random)
    yield 0.0
    return killed


def terminate(world: World, random: Random) -> Steps:
    """SIGTERM a worker; the next one takes its place."""
    ended = world.fleet.terminate(random)
    yield 0.0
    return ended


def zombie(world: World, random: Random) -> Steps:
    """SIGSTOP a worker past its session time-out, then SIGCONT."""
    member, seconds = world.fleet.pause(random), _long(random)
    yield seconds
    world.fleet.resume(member)
    return f"{member.worker.log.stem} {seconds:.1f} s"


def hiccup(world: World, random: Random) -> Steps:
    """SIGSTOP a worker for less than its session time-out, then SIGCONT."""
    member, seconds = world.fleet.pause(random), _short(random)
    yield seconds
    world.fleet.resume(member)
    return f"{member.worker.log.stem} {seconds:.1f} s"


def join(world: World, random: Random) -> Steps:
    """One worker more, or another one where there are enough."""
    if world.fleet.size == WORKERS[1]:
        left = world.fleet.terminate(random, leave=True)
        yield _short(random)
        world.fleet.grow()
        return f"{left} replaced"
    world.fleet.grow()
    return f"{world.fleet.size} workers"


def leave(world: World, random: Random) -> Steps:
    """One worker fewer, or another one where there are too few."""
    if world.fleet.size == WORKERS[0]:
        world.fleet.grow()
        yield _long(random)
    left = world.fleet.terminate(random, leave=True)
    return f"{left}, {world.fleet.size} workers"


def _away(world: World, seconds: float, stop: Callable[[], None], start: Callable[[], None]) -> Steps:
    yield from world.broker_back()
    world.broker_up = False
    stop()
    yield seconds
    start()
    world.broker_up = True
    return f"{seconds:.1f} s"


def broker_restart(world: World, random: Random) -> Steps:
    """The broker stops and starts at once."""
    return (yield from _away(world, 0.0, world.broker.stop, world.broker.start))


def broker_outage(world: World, random: Random) -> Steps:
    """The broker stops, and is away for longer than every time-out of a worker."""
    return (yield from _away(world, _long(random), world.broker.stop, world.broker.start))


def broker_crash(world: World, random: Random) -> Steps:
    """The broker is killed and started again."""
    return (yield from _away(world, _short(random), world.broker.kill, world.broker.start))


def broker_stall(world: World, random: Random) -> Steps:
    """The broker freezes for a moment."""
    return (yield from _away(world, _short(random), world.broker.pause, world.broker.resume))


def broker_freeze(world: World, random: Random) -> Steps:
    """The broker freezes for longer than every time-out of a worker."""
    return (yield from _away(world, _long(random), world.broker.pause, world.broker.resume))


def full_queue(world: World, random: Random) -> Steps:
    """A worker whose producer has room for ten messages, and a broker that freezes while it works."""
    replaced = world.fleet.terminate(random, options=_TINY_QUEUE)
    yield 4.0
    took = yield from broker_stall(world, random)
    return f"in place of {replaced}, broker frozen {took}"


def promote(world: World, random: Random) -> Steps:
    """The other model is promoted."""
    yield from world.broker_back()
    version = next(one for one in world.rankers if one != world.model)
    world.put_in_force(version)
    world.registry.promote(version)
    world.announce(version)
    return f"model {version}"


def rollback(world: World, random: Random) -> Steps:
    """The model promoted before is in force again."""
    if len(set(world.registry.history()) & set(world.rankers)) < 2:  # damaged ones are passed over
        yield from promote(world, random)
        yield 1.0
    yield from world.broker_back()
    version = world.registry.rollback()
    world.put_in_force(version)
    world.announce(version)
    return f"back to model {version}"


def corrupt_bundle(world: World, random: Random) -> Steps:
    """A bundle is damaged once it is promoted, and the model in force is again a little later: it is never served."""
    yield from world.broker_back()
    version, damaged = world.publish_copy(), random.choice(("model.onnx", "popularity.npy"))
    world.registry.promote(version)
    world.damage(version, damaged)
    world.announce(version)
    yield random.uniform(0.5, 2.0)
    yield from world.broker_back()
    world.registry.promote(world.model)
    world.announce(world.model)
    return f"model {version}, half of {damaged}"


def hostile_messages(world: World, random: Random) -> Steps:
    """Messages that are no clicks, of every kind."""
    count = 60
    for _ in range(count):
        send_hostile(world.storefront, random, PARTITIONS)
        yield 0.01
    return f"{count} messages"


def redis_loss(world: World, random: Random) -> Steps:
    """Redis ends, and comes back empty."""
    seconds = random.uniform(0.5, 3.0)
    world.redis.stop()
    yield seconds
    world.redis.start()
    return f"{seconds:.1f} s"


TOPIC_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (partitions_added, clicks_remade, changelog_remade, recommendations_remade, retention)
}
FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill,
        terminate,
        zombie,
        hiccup,
        join,
        leave,
        broker_restart,
        broker_outage,
        broker_crash,
        broker_stall,
        broker_freeze,
        full_queue,
        promote,
        rollback,
        corrupt_bundle,
        hostile_messages,
        redis_loss,
    )
} | TOPIC_FAULTS


def strike(world: World, planned: Sequence[Planned]) -> list[str]:
    """Let the faults happen at their times, to their ends; one line each: kind, its begin and end, what it did."""
    begun, happened = time.monotonic(), []
    due = [(fault.at_s, place, FAULTS[fault.kind](world, Random(fault.seed))) for place, fault in enumerate(planned)]
    while due:
        at_s, place, steps = heapq.heappop(due)
        time.sleep(max(begun + at_s - time.monotonic(), 0.0))
        try:
            wait_s = next(steps)
        except StopIteration as end:
            fault, ended_s = planned[place], time.monotonic() - begun
            happened.append(f"{fault.kind}@{fault.at_s:.1f}-{ended_s:.1f}s ({end.value})")
        else:
            heapq.heappush(due, (time.monotonic() - begun + wait_s, place, steps))
    return happened
