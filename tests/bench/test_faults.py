"""The harness of faults: its rounds can be played again, and hostile messages say why they are."""

from itertools import islice
from random import Random
from typing import Any, cast

import pytest

from bench.harness.campaign import Campaign, Outcome
from bench.harness.faults import FAULTS
from bench.harness.plan import rounds
from bench.harness.traffic import HOSTILE
from bench.rig.clients import now_ms
from stream.errors import BadClick
from stream.messages.contract import decode_click


def test_rounds_of_a_seed_are_the_same_whichever_is_first() -> None:
    played = Campaign(rounds=20, seed=3).plan()
    assert Campaign(rounds=2, seed=3, first_round=7).plan() == played[7:9]
    assert Campaign(rounds=20, seed=4).plan() != played


def test_rounds_hold_one_to_three_faults_and_every_kind_before_one_comes_again() -> None:
    played = list(islice(rounds(5, FAULTS), 60))
    kinds = [{fault.kind for fault in one.faults} for one in played]
    assert all(1 <= len(one.faults) <= 3 for one in played)
    assert all(len(kinds[number]) == len(played[number].faults) for number in range(60)), "no kind twice in a round"
    drawn = [kind for one in kinds for kind in one]
    assert min(map(drawn.count, FAULTS)) >= max(map(drawn.count, FAULTS)) - 2


@pytest.mark.parametrize("count", ["lost", "wrong", "unanswered", "crashes_unexpected"])
def test_outcome_with_anything_amiss_is_not_good(count: str) -> None:
    assert Outcome(guarantee="at-least-once", seed=0).good
    assert not Outcome(guarantee="at-least-once", seed=0, **cast(Any, {count: 1})).good


def test_hostile_messages_come_with_the_reason_by_which_they_are_rejected() -> None:
    for make in HOSTILE:
        for seed in range(20):
            reason, value, key = make(Random(seed))
            with pytest.raises(BadClick) as caught:
                decode_click(value, key, now_ms())
            assert caught.value.reason == reason
