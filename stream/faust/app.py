"""A Faust app with our consumer and recovery in it, and the settings that make it a well-behaved worker."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust

from export.errors import ConfigError
from stream.config import StreamConfig
from stream.faust.consumer import Intake, LeanTransport
from stream.faust.security import credentials_of
from stream.faust.tables import LeanTableManager

__all__ = ["LeanApp", "build_app"]

_REQUEST_TIMEOUT_S = 40.0  # one step of a recovery, one request; above the session time-out
_POLL_INTERVAL_S = 24 * 3600.0  # stream.ops.watchdog ends a worker that stopped reading, by better rules
_REBALANCE_S = 30.0  # for every member to come back; the batches in flight need less, and the watchdog waits longer
_POLL_RECORDS = 4096  # of one fetch
_FETCH_MAX_WAIT_MS = 250  # a broker's long poll; a seek has to wait for the end of one


class LeanApp(faust.App):
    """Made by `build_app`. `intake` is what the consumer works for; asked for when the app starts, not before: it is
    made of parts that know the app."""

    fetch_max_wait_ms: int
    find_intake: Callable[[], Intake]
    rebalance_began_at = assigned_at = rebalance_ended_at = 0.0  # time.monotonic(), of the newest rebalance

    @property
    def intake(self) -> Intake:
        return self.find_intake()

    def _new_transport(self) -> Any:
        """Seam: Faust finds a transport by the scheme of the broker's address only."""
        return LeanTransport(self.conf.broker_consumer, self)

    def on_rebalance_start(self) -> None:
        """Seam: Faust does not say how long its rebalances take."""
        self.rebalance_began_at = time.monotonic()
        super().on_rebalance_start()

    async def _on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Seam: as above; what follows is the recovery of the state. One that is still under way from the rebalance
        before may have made its seeks since the partitions were revoked: they must not count for this assignment."""
        clicks = [tp.partition for tp in assigned if tp.topic == self.intake.partitions.clicks_topic]
        self.intake.assigned(clicks)
        self.assigned_at = time.monotonic()
        await super()._on_partitions_assigned(assigned, generation_id)

    def on_rebalance_end(self) -> None:
        """Seam: as above."""
        self.rebalance_ended_at = time.monotonic()
        super().on_rebalance_end()

    def rebalance_times(self) -> str:
        """How long the newest rebalance took, for the log."""
        group_s, state_s = self.assigned_at - self.rebalance_began_at, self.rebalance_ended_at - self.assigned_at
        return f"rebalanced in {group_s:.3f} s, state recovered in {state_s:.3f} s"


def build_app(config: StreamConfig, intake: Callable[[], Intake]) -> tuple[LeanApp, Any]:
    """The app, subscribed to the clicks, and its state table. Touches no broker."""
    app = LeanApp(
        config.consumer_group,
        broker=[f"kafka://{address.strip()}" for address in config.bootstrap_servers.split(",") if address.strip()],
        broker_credentials=credentials_of(config.kafka, config.bootstrap_servers),
        broker_session_timeout=config.broker_session_timeout_s,
        broker_heartbeat_interval=config.broker_heartbeat_s,
        broker_request_timeout=max(_REQUEST_TIMEOUT_S, 2 * config.broker_session_timeout_s),
        broker_rebalance_timeout=_REBALANCE_S,
        broker_commit_interval=config.commit_interval_s,
        broker_max_poll_records=_POLL_RECORDS,
        broker_max_poll_interval=_POLL_INTERVAL_S,
        consumer_auto_offset_reset="earliest",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"nextclick-{os.getpid()}",  # Faust makes one, by default right here
        table_standby_replicas=0,  # they buy nothing with the memory store
        stream_wait_empty=True,
        topic_allow_declare=False,  # `nextclick topics create` makes them
        topic_disable_leader=True,
        recovery_consistency_check=False,  # a changelog made again is the lookout's to tell; Faust's speaks of RocksDB
        web_enabled=False,  # stream.ops.web serves; Faust's would show the tables
        web_tables_enabled=False,
        TableManager=LeanTableManager,
    )
    app.find_intake = intake
    app.fetch_max_wait_ms = _fetch_max_wait_ms(config)
    app.topics.add(app.topic(config.topics.clicks, key_type=bytes, value_type=bytes))
    table = app.Table("sessions", key_type=bytes, value_type=bytes, changelog_topic=_changelog(app, config))
    return app, table


def _changelog(app: LeanApp, config: StreamConfig) -> Any:
    """Faust names it after the app by default; here it may have a name of its own. The rest is as Faust has it."""
    return app.topic(
        config.changelog_topic,
        key_type=bytes,
        value_type=bytes,
        compacting=True,
        acks=False,
        internal=True,
        allow_empty=True,
    )


def _fetch_max_wait_ms(config: StreamConfig) -> int:
    """Real brokers end a long poll as records arrive; librdkafka's in-process cluster only after the whole wait."""
    text = config.kafka.get("fetch.wait.max.ms", str(_FETCH_MAX_WAIT_MS))
    if not text.isdecimal():
        raise ConfigError(f"fetch.wait.max.ms must be a whole number of milliseconds, not {text!r}")
    return int(text)
