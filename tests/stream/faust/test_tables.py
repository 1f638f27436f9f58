"""What a recovery takes for a broker that is away, and begins anew after."""

import pytest
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from stream.errors import PublishFailed
from stream.faust.tables import _comes_and_goes


@pytest.mark.parametrize("kind", [TimeoutError, KafkaTimeoutError, RequestTimedOutError, KafkaConnectionError])
def test_broker_that_does_not_answer_comes_back(kind: type[Exception]) -> None:
    assert _comes_and_goes(kind())


@pytest.mark.parametrize("kind", [IllegalStateError, TopicAuthorizationFailedError, PublishFailed, ValueError])
def test_what_no_waiting_mends_does_not(kind: type[Exception]) -> None:
    assert not _comes_and_goes(kind("no"))
