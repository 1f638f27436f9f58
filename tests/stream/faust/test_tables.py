"""What a recovery takes for a broker that is away, and begins anew after."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from faust.tables.recovery import Recovery, ServiceStopped

from stream.errors import PublishFailed
from stream.faust.tables import LeanRecovery, _comes_and_goes


@pytest.mark.parametrize("kind", [TimeoutError, KafkaTimeoutError, RequestTimedOutError, KafkaConnectionError])
def test_broker_that_does_not_answer_comes_back(kind: type[Exception]) -> None:
    assert _comes_and_goes(kind())


@pytest.mark.parametrize("kind", [IllegalStateError, TopicAuthorizationFailedError, PublishFailed, ValueError])
def test_what_no_waiting_mends_does_not(kind: type[Exception]) -> None:
    assert not _comes_and_goes(kind("no"))


def test_step_that_fails_when_nobody_waits_for_it_any_more_is_no_error_of_the_log() -> None:
    steps: list[Any] = []

    async def fail() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:  # as mode's services take it
            raise ServiceStopped from None

    async def ends(_: object, step: object, **__: object) -> None:
        steps.append(step)
        await asyncio.sleep(0.01)
        raise ServiceStopped

    async def run() -> None:
        with pytest.raises(ServiceStopped):
            await LeanRecovery.__new__(LeanRecovery)._wait(fail())
        await asyncio.sleep(0.01)

    with patch.object(Recovery, "_wait", ends), patch.object(LeanRecovery, "should_stop", True):
        asyncio.run(run())
    assert steps[0].done()
    assert not steps[0]._log_traceback, "asyncio would print one as the step is forgotten"
