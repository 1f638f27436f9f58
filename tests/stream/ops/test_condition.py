"""What a worker shows of itself while it ends."""

import asyncio
import threading
from types import SimpleNamespace
from typing import cast

import pytest

from stream.config import StreamConfig
from stream.ops.signals import StopSignal
from stream.ops.web import Health
from stream.worker import Worker
from tests.stream.records import EchoRanker


@pytest.mark.parametrize("how", ["failed", "signal"])
def test_worker_that_ends_is_unready_at_once_in_health_and_figures(how: str) -> None:
    """Before, they stayed as they were for the seconds of the orderly end."""

    async def end() -> tuple[Health, list[float | None]]:
        worker = Worker(StreamConfig(bootstrap_servers="127.0.0.1:1", registry="nowhere"), EchoRanker())
        worker._condition._health = Health(ready=True, standby=True, serving="model", partitions=[0])
        worker.metrics.ready.set(1)
        worker.metrics.standby.set(1)
        if how == "failed":
            worker._end("no reason")
        else:
            stop = SimpleNamespace(event=threading.Event())
            stop.event.set()
            worker._membership.check_admission = lambda: None  # type: ignore[method-assign]
            worker._condition.measure = lambda: None  # type: ignore[method-assign]
            await worker._watch(cast(StopSignal, stop))
        registry = worker.metrics.registry
        figures = [registry.get_sample_value(f"nextclick_{name}") for name in ("ready", "standby")]
        return worker._condition.shown_health(), figures

    health, figures = asyncio.run(end())
    assert figures == [0, 0]
    assert (health.ready, health.standby, health.serving) == (False, False, "nothing")
    assert health.reasons[0].startswith("the worker ends")
