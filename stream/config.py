"""Everything a worker can be told, checked when it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from export.checks import require_finite
from export.errors import ConfigError
from export.providers import Provider, require_provider
from export.registry.registry import check_variant
from stream.kafka.names import check_group
from stream.partition.session import SessionConfig
from stream.path.policy import PolicyConfig
from stream.topic_names import Topics

__all__ = ["Guarantee", "StreamConfig"]

Guarantee = Literal["at-least-once", "exactly-once"]

_DAY_S = 86_400  # a wait that no clock of the system takes would end its thread, and looks rarer than that are none
_LONGEST_TTL_S = 2**31 - 1  # 68 years; far longer ones Redis refuses, each of them anew
_MOST_EMBEDDED = 200_000
_MOST_ITEMS = 100_000_000  # rows are numbered by 32 bits, and would fill no machine's memory before
_MOST_THREADS = 1024  # more of them take minutes to start and are of no use


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """A worker's settings. Raises ConfigError where they contradict each other."""

    bootstrap_servers: str  # host:port, more of them separated by commas
    registry: str  # directory or fsspec URL of the bundles
    group: str = "nextclick"  # consumer group; workers of one group share the partitions; see `consumer_group`
    variant: str = "default"  # which announcements are followed
    topics: Topics = field(default_factory=Topics)
    session: SessionConfig = field(default_factory=SessionConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    k: int = 20  # items in a list
    guarantee: Guarantee = "at-least-once"  # what happens to a list when a worker dies: repeated, or published once

    provider: Provider = "cpu"  # where the graph runs
    threads: int = 0  # of the graph on the CPU; 0: one a core
    preference: float = 0.5  # of orders against clicks, 0 to 1, for a model that is told it; a variant may have its own

    max_models: int = 8  # in memory at a time, for the variants of experiments; what is live is loaded in any case
    variant_failures: int = 5  # runs in a row that rank nobody of a variant, after which the live model answers instead

    max_batch: int = 1024  # clicks of one micro-batch; larger ones coalesce better and answer later
    queue_clicks: int = 16_384  # clicks waiting in the worker before the fetcher pauses
    queue_mb: int = 64  # their bytes; huge messages fill it long before the clicks are so many
    batches_in_flight: int = 4  # of a partition, begun and not yet confirmed; bounds what a crash repeats

    broker_session_timeout_s: float = 10.0  # silence after which the group gives a worker's partitions away
    broker_heartbeat_s: float = 0.3  # at most a third of the session time-out; a rebalance is noticed by the next one
    delivery_timeout_s: float = 8.0  # for one message; below the session time-out, or a zombie's rows come late
    commit_interval_s: float = 1.0  # between two commits of offsets
    watchdog_s: float = 60.0  # no progress for so long while clicks wait ends the process
    models_poll_s: float = 1.0  # between two looks at the registry, where nothing was announced
    topics_look_s: float = 10.0  # between two looks at the topics: are they there, the same ones, as many partitions
    max_items: int = 2_000_000  # of the items topic that are kept; beyond, new ones are refused. 1 M take some 200 MB
    max_embedded: int = 20_000  # items newer than the model or changed since; each takes a little of every ranking
    items_wait_s: float = 30.0  # for the items to be restored, before the first click is taken all the same
    reset_state: bool = False  # drop a state that is of other clicks than the ones in their topic, instead of ending

    redis_url: str | None = field(default=None, repr=False)  # redis://host:port/db; None: lists go to Kafka only
    redis_ttl_s: int = 1800  # how long a list stays in Redis

    web_host: str = "127.0.0.1"  # /health and /metrics; 0.0.0.0 shows them to the network
    web_port: int = 8080  # 0: any free port, printed at start

    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)  # more client options, by librdkafka's names
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        require_finite(self)
        _require(bool(self.bootstrap_servers.strip()), "bootstrap servers are missing, for example localhost:9092")
        _require(bool(self.registry.strip()), "the registry is missing: a directory or a URL")
        check_group(self.group)
        check_variant(self.variant)
        self.topics.changelog(self.group)  # ConfigError for a group that no topic can be named after
        _require(1 <= self.k <= 1000, f"k must be 1 to 1000, not {self.k}")
        _require(
            self.guarantee in ("at-least-once", "exactly-once"),
            f"the guarantee must be at-least-once or exactly-once, not {self.guarantee!r}",
        )
        require_provider(self.provider)
        _require(0.0 <= self.preference <= 1.0, f"the preference of orders is in 0..1, not {self.preference}")
        _require(
            0 <= self.threads <= _MOST_THREADS, f"threads must be 0 (one a core) to {_MOST_THREADS}, not {self.threads}"
        )
        _require(self.max_models >= 1, f"at least one model must be loaded, not {self.max_models}")
        _require(self.variant_failures >= 1, f"a variant may fail at least once, not {self.variant_failures} times")
        _require(self.max_batch >= 1, f"a batch holds at least one click, not {self.max_batch}")
        _require(self.queue_clicks >= self.max_batch, "the queue must hold at least one batch")
        _require(self.queue_mb >= 1, "the queue must hold at least a megabyte")
        _require(self.batches_in_flight >= 1, "at least one batch must be in flight")
        _require(
            0 < self.broker_heartbeat_s * 3 <= self.broker_session_timeout_s < math.inf,
            "the heartbeat must be at most a third of the broker session time-out",
        )
        _require(
            0 < self.delivery_timeout_s < self.broker_session_timeout_s,
            "the delivery time-out must be below the broker session time-out",
        )
        _require(1 <= self.max_items <= _MOST_ITEMS, f"max items must be 1 to {_MOST_ITEMS:,}, not {self.max_items}")
        _require(
            0 <= self.max_embedded <= _MOST_EMBEDDED,
            f"max embedded must be 0 to {_MOST_EMBEDDED:,}, not {self.max_embedded}",
        )
        _require(0 <= self.items_wait_s <= _DAY_S, f"the items are awaited 0 to {_DAY_S} s, not {self.items_wait_s}")
        for interval_s in (self.commit_interval_s, self.watchdog_s, self.models_poll_s, self.topics_look_s):
            _require(0 < interval_s <= _DAY_S, f"intervals must be above 0 and at most {_DAY_S} s, not {interval_s} s")
        _require(
            1 <= self.redis_ttl_s <= _LONGEST_TTL_S,
            f"the TTL in Redis must be 1 to {_LONGEST_TTL_S} seconds, not {self.redis_ttl_s}",
        )
        _require(bool(self.web_host.strip()), "the web host is missing: 127.0.0.1, or 0.0.0.0 for all who reach it")
        _require(0 <= self.web_port <= 65_535, f"the web port must be 0 to 65535, not {self.web_port}")
        _require(
            self.log_level.upper() in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            f"the log level must be debug, info, warning, error or critical, not {self.log_level!r}",
        )

    @property
    def consumer_group(self) -> str:
        """The group by the name that the brokers know: two shops with prefixes never share one."""
        return self.topics.prefix + self.group

    @property
    def changelog_topic(self) -> str:
        """The topic of the sessions' state."""
        return self.topics.changelog(self.group)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
