"""Settings are checked at start."""

from typing import Any

import pytest

from export.errors import ConfigError
from stream.config import StreamConfig

GOOD: dict[str, Any] = {"bootstrap_servers": "localhost:9092", "registry": "models"}


def test_stream_config_defaults_are_accepted() -> None:
    config = StreamConfig(**GOOD, group="shop")
    assert config.changelog_topic == "shop-sessions-changelog"
    assert config.web_host == "127.0.0.1"


@pytest.mark.parametrize(
    "change",
    [
        {"bootstrap_servers": " "},
        {"registry": ""},
        {"group": ""},
        {"group": "my group"},
        {"group": "x" * 231},
        {"variant": ""},
        {"variant": "a b"},
        {"variant": "../default"},
        {"variant": "a\n"},
        {"variant": "x" * 65},
        {"k": 0},
        {"k": 1001},
        {"guarantee": "at-most-once"},
        {"provider": "tpu"},
        {"threads": -1},
        {"threads": 100_000},
        {"max_models": 0},
        {"variant_failures": 0},
        {"max_batch": 0},
        {"queue_clicks": 10},
        {"batches_in_flight": 0},
        {"broker_heartbeat_s": 9.0},
        {"broker_heartbeat_s": 0},
        {"delivery_timeout_s": 10.0},
        {"commit_interval_s": 0},
        {"watchdog_s": -1},
        {"watchdog_s": float("nan")},
        {"broker_session_timeout_s": float("inf")},
        {"models_poll_s": 0},
        {"topics_look_s": 1e300},
        {"redis_ttl_s": 0},
        {"redis_ttl_s": 10**20},
        {"web_host": ""},
        {"web_host": " "},
        {"web_port": 65_536},
        {"log_level": "loud"},
    ],
    ids=lambda change: "-".join(f"{name}={value}"[:40] for name, value in change.items()),
)
def test_stream_config_bad_value_raises_config_error(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        StreamConfig(**{**GOOD, **change})


def test_stream_config_shown_hides_passwords() -> None:
    config = StreamConfig(**GOOD, redis_url="redis://:secret@host", kafka={"sasl.password": "secret"})
    assert "secret" not in repr(config)
