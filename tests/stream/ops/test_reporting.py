"""What /health says: ready only while partitions are held, read, and answered by a model."""

from typing import Any

from stream.ops.reporting import describe_health
from stream.ops.web import Health
from tests.stream.records import EchoRanker


def health(**changes: Any) -> Health:
    """Of a worker that serves two partitions, with some of it changed."""
    facts: dict[str, Any] = {
        "ranker": EchoRanker(),
        "variant": "default",
        "joined": True,
        "assigned": [0, 1],
        "lag": {0: 0, 1: 0},
        "partitions": [0, 1],
        "trouble": None,
        "errors": [],
        "failed": False,
    }
    return describe_health(**{**facts, **changes})


def test_health_of_a_worker_that_serves_is_ready_without_reasons() -> None:
    assert (health().ready, health().standby, health().reasons) == (True, False, [])


def test_health_without_partitions_stands_by_and_is_not_ready() -> None:
    found = health(assigned=[], partitions=[], lag={})
    assert (found.ready, found.standby) == (False, True)
    assert "standby: no partition is assigned" in found.reasons[0]


def test_health_while_partitions_are_assigned_is_no_standby() -> None:
    found = health(joined=False, assigned=[], partitions=[])
    assert (found.ready, found.standby) == (False, False)
    assert found.reasons == ["partitions are being assigned or recovered"]


def test_health_with_a_partition_that_is_not_read_names_it() -> None:
    found = health(partitions=[1])
    assert not found.ready
    assert "partitions [0] are not read" in found.reasons[0]


def test_health_with_changed_topics_is_not_ready_and_says_what() -> None:
    found = health(trouble="topics were deleted")
    assert (found.ready, found.reasons) == (False, ["topics were deleted"])


def test_health_with_an_error_that_does_not_stop_it_stays_ready() -> None:
    found = health(errors=["model 2 refused"])
    assert (found.ready, found.reasons) == (True, ["model 2 refused"])
    assert not health(failed=True).ready
    assert not health(ranker=None).ready
