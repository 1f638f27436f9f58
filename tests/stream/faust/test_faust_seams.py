"""What the seams take for granted in Faust and aiokafka. Where one of these fails, read stream/faust again."""

import asyncio
import inspect
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher as AIOKafkaFetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from faust.app.base import App
from faust.stores.memory import Store
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Fetcher
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    ConsumerRebalanceListener,
    credentials_to_aiokafka_auth,
)
from faust.types import TP

from export.errors import ConfigError
from stream.config import StreamConfig
from stream.faust.app import LeanApp, build_app
from stream.faust.consumer import Intake, LeanConsumer, LeanTransport
from stream.faust.tables import LeanRecovery, LeanTableManager
from stream.faust.thread import LeanThread, _positions


def no_intake() -> Intake:
    return cast(Intake, None)


def source(thing: Any) -> str:
    return inspect.getsource(thing)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LeanConsumer, Consumer),
        (LeanThread, AIOKafkaConsumerThread),
        (LeanRecovery, Recovery),
        (LeanTableManager, TableManager),
        (LeanApp, App),
    ],
)
def test_every_override_still_overrides_with_the_same_parameters(ours: type, theirs: type) -> None:
    own = {
        "intake", "lease", "rewind", "_drain_once", "_seek_clicks", "fetch", "committed", "commit_offsets", "advance",
        "_noting", "_seek_and_expect", "_fetch_with_serial", "_committed", "closing", "serial", "heartbeat_at",
        "seek_in", "rejoin", "_rejoin", "forget", "_ends", "_moved", "rebalance_times", "poll_at_most", "_clicks",
        "heard_at", "refusal",
    }  # fmt: skip
    for name, member in vars(ours).items():
        if name.startswith("__") or name in own or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        original = getattr(theirs, name, None)
        assert original is not None, f"{theirs.__name__}.{name} is gone"
        wrapped = name == "wait_empty"  # Faust's is decorated, and says nothing of its parameters
        if inspect.isfunction(member) and inspect.isfunction(original) and not wrapped:
            assert list(inspect.signature(member).parameters) == list(inspect.signature(original).parameters), name


def test_closing_aiokafkas_fetcher_raises_the_cancellation_of_a_fetch_in_its_pause() -> None:
    """Where this fails, LeanThread.on_thread_stop may not be needed any more."""
    assert "x.cancel()\n            await x" in source(AIOKafkaFetcher.close)
    assert "await asyncio.sleep(self._retry_backoff)" in source(AIOKafkaFetcher._proc_fetch_request)


def test_fetcher_of_aiokafka_resets_a_position_in_two_steps() -> None:
    """As stream/faust/resets.py takes for granted."""
    assert "tp_state.await_reset(self._default_reset_strategy)" in source(AIOKafkaFetcher._proc_fetch_request)
    assert "tp_state.reset_to(offset)" in source(AIOKafkaFetcher._update_fetch_positions)


def test_coordinator_of_aiokafka_keeps_what_the_group_refuses_for_good() -> None:
    """As LeanThread.refusal takes for granted."""
    assert "self._coordination_task = create_task(" in source(GroupCoordinator.__init__)
    assert "self._pending_exception = exc" in source(GroupCoordinator)
    assert "Errors.InvalidSessionTimeoutError" in inspect.getsource(inspect.getmodule(GroupCoordinator) or object)


def test_fetcher_runs_the_consumers_drain() -> None:
    assert "consumer._drain_messages(self)" in source(Fetcher)


def test_rebalance_stops_the_flow_then_waits_then_assigns_then_recovers() -> None:
    revoked = source(App._on_partitions_revoked)
    assert revoked.index("consumer.stop_flow") < revoked.index("_consumer_wait_empty")
    assert "consumer.wait_empty()" in source(App._consumer_wait_empty)
    assert "self.tables.on_rebalance" in source(App._on_partitions_assigned)
    assert "thread.app.on_rebalance_start()" in source(ConsumerRebalanceListener)


def test_recovery_seeks_then_resumes_then_waits_then_seeks_the_clicks() -> None:
    steps = source(Recovery._restart_recovery.fun)
    order = [
        "self._build_highwaters",
        "self._build_offsets",
        "_seek_offsets",
        "need_recovery()",
        "signal_recovery_end.wait()",
    ]
    positions = [steps.index(step) for step in order]
    assert positions == sorted(positions)
    assert "consumer.seek_wait(new_offsets)" in source(Recovery._seek_offsets)
    assert "await consumer.highwaters(*tps)" in source(Recovery._build_highwaters)
    assert "self.call_thread(self._highwaters, partitions)" in source(AIOKafkaConsumerThread.highwaters)
    completed = source(Recovery.on_recovery_completed)
    assert completed.index("consumer.perform_seek()") < completed.index("self.app.on_rebalance_end()")
    assert "tp: highwater - offsets[tp]" in source(Recovery.active_remaining)


def test_recovery_raises_for_a_step_that_timed_out_where_ours_looks() -> None:
    wait = source(Recovery._wait)
    assert "raise ServiceStopped()" in wait
    assert "raise RebalanceAgain()" in wait


def test_recovery_runs_no_task_that_ours_replaces() -> None:
    tasks = {task.fun.__qualname__ for task in LeanRecovery(*_app_and_tables())._get_tasks()}
    assert tasks == {
        "Recovery._restart_recovery", "LeanRecovery._slurp_changelogs", "LeanRecovery._publish_stats",
    }  # fmt: skip


def _app_and_tables() -> tuple[Any, Any]:
    app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), no_intake)
    return app, app.tables


def test_memory_store_says_nothing_of_offsets_as_it_is_empty() -> None:
    """Where a recovery starts is then told by what ours has restored, and by nothing else."""
    assert Store.persisted_offset(cast(Store, None), TP("log", 0)) is None
    assert "offsets.setdefault(tp, None)" in source(Recovery._add)


def test_aiokafka_has_the_internals_that_are_used() -> None:
    assert "self._fetch_max_wait_ms" in source(AIOKafkaConsumer.__init__)
    assert "self._fetch_max_wait_ms," in source(AIOKafkaFetcher)  # read at each request
    assert "self._max_poll_records" in source(AIOKafkaConsumer.__init__)
    assert "await self._do_heartbeat()" in source(GroupCoordinator._heartbeat_routine)
    assert "isolation_level=self._isolation_level" in source(AIOKafkaConsumer.start)  # which comes after ours sets it
    assert "self._isolation_level" in source(AIOKafkaFetcher._proc_offset_request)
    assert not hasattr(AIOKafkaFetcher, "__del__")  # a copy of it is thrown away
    assert "self._request_timeout_ms" in source(AIOKafkaConsumer.end_offsets)
    assert "self._rejoin_needed_fut.set_result" in source(GroupCoordinator.request_rejoin)
    text = source(AIOKafkaFetcher.fetched_records)
    taken = text.index("getall(max_records)")
    assert "await" not in text[taken : text.index("return drained", taken)]  # the serial is read with the records


def test_aiokafka_moves_its_position_past_what_brings_no_record() -> None:
    assert "self._update_position()" in source(FetchResult.getall)
    control = source(PartitionRecords._unpack_records)
    assert "if next_batch.is_control_batch:\n                self.next_fetch_offset = next_batch.next_offset" in control
    assert "next_batch.producer_id in self._aborted_producers" in control


def test_positions_are_those_of_assigned_partitions_that_have_one() -> None:
    async def use() -> None:
        subscriptions = SubscriptionState()
        consumer = SimpleNamespace(_subscription=subscriptions)
        first, second, foreign = (TopicPartition("clicks", number) for number in range(3))
        assert _positions(consumer, {first}) == {}
        subscriptions.assign_from_user({first, second})
        subscriptions.seek(first, 7)
        assert _positions(consumer, {TP(*first), TP(*second), TP(*foreign)}) == {first: 7}

    asyncio.run(use())


def test_the_worker_reads_committed_clicks_only() -> None:
    async def build() -> None:
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), no_intake)
        consumer = app.consumer._thread._create_worker_consumer(app.transport)
        assert consumer._isolation_level == "read_committed"

    asyncio.run(build())


def test_build_app_uses_every_seam_and_faust_names_the_changelog_as_we_do() -> None:
    async def build() -> None:
        config = StreamConfig(bootstrap_servers="a:1,b:2", registry="nowhere", group="g")
        app, table = build_app(config, no_intake)
        assert isinstance(app, LeanApp)
        assert isinstance(app.transport, LeanTransport)
        assert isinstance(app.consumer, LeanConsumer)
        assert isinstance(app.consumer._thread, LeanThread)
        assert isinstance(app.tables, LeanTableManager)
        assert isinstance(app.tables.recovery, LeanRecovery)
        assert table.changelog_topic.get_topic_name() == config.changelog_topic
        assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]

    asyncio.run(build())


def test_build_app_with_tls_and_sasl_gives_aiokafka_the_same() -> None:
    async def build() -> None:
        options = {"security.protocol": "SASL_SSL", "sasl.username": "u", "sasl.password": "p"}
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere", kafka=options), no_intake)
        auth = credentials_to_aiokafka_auth(app.conf.broker_credentials)
        assert (auth["security_protocol"], auth["sasl_plain_username"]) == ("SASL_SSL", "u")

    asyncio.run(build())


def test_build_app_with_a_missing_certificate_says_so() -> None:
    options = {"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}
    with pytest.raises(ConfigError, match="TLS"):
        build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere", kafka=options), no_intake)


def test_build_app_takes_the_long_poll_from_the_client_options() -> None:
    config = StreamConfig(bootstrap_servers="a:1", registry="nowhere")
    assert build_app(config, no_intake)[0].fetch_max_wait_ms == 250
    assert build_app(replace(config, kafka={"fetch.wait.max.ms": "4"}), no_intake)[0].fetch_max_wait_ms == 4
    with pytest.raises(ConfigError, match=r"fetch\.wait\.max\.ms"):
        build_app(replace(config, kafka={"fetch.wait.max.ms": "soon"}), no_intake)
