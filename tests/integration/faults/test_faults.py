"""Rounds of random faults, every kind at least once under each guarantee: nothing is lost, wrong or unanswered.

`python -m bench.faults` plays more of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness.campaign import Campaign, run_campaign
from bench.harness.faults import FAULTS, TOPIC_FAULTS
from bench.harness.world import Comparing, Guarantee
from bench.rig.brokers.base import Broker
from bench.rig.brokers.redis_server import RedisServer
from tests.integration.promises import GUARANTEES

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

ROUNDS = 3
MOST = 6  # faults of a round: as many as it takes for every kind to come
RATE = 100.0  # clicks a second: some are on their way whatever happens, and more only cost time to compare
# What an operator does to topics ends the workers, and is in test_surroundings.py; but for this, which must not
KINDS = tuple(kind for kind in FAULTS if kind not in TOPIC_FAULTS or kind == "retention")


COMPARING: dict[Guarantee, Comparing] = {"at-least-once": "split", "exactly-once": "interleave"}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_rounds_of_every_fault_nothing_is_lost_wrong_or_unanswered(
    empty_broker: Broker, redis_server: RedisServer, guarantee: Guarantee, tmp_path: Path
) -> None:
    said: list[str] = []
    campaign = Campaign(
        rounds=ROUNDS,
        seed=7,
        guarantee=guarantee,
        fewest=MOST,
        most=MOST,
        kinds=KINDS,
        rate=RATE,
        comparing=COMPARING[guarantee],
    )
    outcome = run_campaign(empty_broker, tmp_path, campaign, said.append)
    assert outcome.good, "\n".join(said)
    assert set(outcome.faults) == set(KINDS)
    assert outcome.rounds == ROUNDS
    assert outcome.clicks > 1000
    expected = {"split": {"control", "challenger"}, "interleave": {"interleaved"}}[campaign.comparing]
    assert set(outcome.variants) == expected
    assert outcome.variants.total() > outcome.lists / 2, "most sessions are in the experiment"
    assert outcome.removed > 0, "clicks that retention took before anybody read them"
    assert guarantee == "at-least-once" or outcome.repeats == 0
