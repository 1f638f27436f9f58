"""Client options, and waiting for a broker."""

import threading
import time
import traceback
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from export.errors import ConfigError
from stream.errors import BrokerUnavailable
from stream.kafka.clients import (
    assign_all,
    build_client,
    consumer_options,
    parse_options,
    producer_options,
    read_options,
    wait_for_broker,
)

NOBODY = "127.0.0.1:1"  # tcpmux: refused at once


def test_parse_options_keeps_further_equal_signs_in_the_value() -> None:
    assert parse_options(["security.protocol=SSL", "sasl.password = a=b"]) == {
        "security.protocol": "SSL",
        "sasl.password": "a=b",
    }


@pytest.mark.parametrize("pair", ["", "secret", "=secret", "a b=secret"])
def test_parse_options_not_a_pair_raises_config_error_without_the_value(pair: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options([pair])
    assert "secret" not in str(caught.value)


def test_read_options_command_line_wins_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# ours\n\nsasl.password = a=b \nsasl.username=file\nlinger.ms=1\n")
    variables = {
        "NEXTCLICK_KAFKA_CONFIG": str(file),
        "NEXTCLICK_KAFKA_SASL_USERNAME": "environment",
        "NEXTCLICK_KAFKA_LINGER_MS": "2",
        "NEXTCLICK_GROUP": "g",
        "HOME": "/",
    }
    assert read_options(["linger.ms=3"], file, variables) == {
        "sasl.password": "a=b",
        "sasl.username": "environment",
        "linger.ms": "3",
    }


@pytest.mark.parametrize(
    ("content", "variables", "place"),
    [
        (b"linger.ms=1\nsecret", {}, "line 2"),
        (b"=secret", {}, "line 1"),
        (b"secret\xff", {}, "UTF-8"),
        (b"", {"NEXTCLICK_KAFKA_GROUP_ID": "secret"}, "group.id"),
    ],
)
def test_read_options_unusable_raises_config_error_with_the_place_and_without_the_value(
    tmp_path: Path, content: bytes, variables: dict[str, str], place: str
) -> None:
    file = tmp_path / "client.properties"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=place) as caught:
        read_options([], file, variables)
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_read_options_file_with_a_byte_order_mark_and_a_password_with_odd_characters(tmp_path: Path) -> None:
    (tmp_path / "client.properties").write_bytes("\ufeffsasl.password=a\u2028b\x85c\r\nlinger.ms=1\r\n".encode())
    assert read_options([], tmp_path / "client.properties") == {"sasl.password": "a\u2028b\x85c", "linger.ms": "1"}


def test_read_options_file_missing_raises_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_options([], tmp_path / "none")


@pytest.mark.parametrize("key", ["partitioner", "bootstrap.servers", "group.id"])
def test_parse_options_reserved_raises_config_error(key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        parse_options([f"{key}=x"])


def test_producer_options_partition_as_java_clients_do() -> None:
    options = producer_options("b:1", {"linger.ms": "7"}, delivery_timeout_s=3.5)
    assert options["partitioner"] == "murmur2_random"
    assert options["message.timeout.ms"] == 3500
    assert options["linger.ms"] == "7"


def test_build_client_unknown_option_raises_config_error() -> None:
    with pytest.raises(ConfigError, match=r"no\.such\.option"):
        build_client(Producer, producer_options("b:1", {"no.such.option": "x"}))


def test_build_client_value_out_of_range_raises_config_error() -> None:
    with pytest.raises(ConfigError):
        build_client(Producer, producer_options("b:1", {"linger.ms": "soon"}))


def test_wait_for_broker_present_returns(cluster: str) -> None:
    wait_for_broker(cluster, timeout_s=10)


@pytest.mark.waits
def test_wait_for_broker_absent_says_where_and_why() -> None:
    heard: list[str] = []
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 within 0\.5 s: .*Connection refused"):
        wait_for_broker(NOBODY, timeout_s=0.5, on_wait=heard.append)
    assert all(NOBODY in text for text in heard)


@pytest.mark.slow
def test_wait_for_broker_waiting_tells_so_and_can_be_stopped() -> None:
    heard: list[str] = []
    stopped = threading.Event()

    def hear(text: str) -> None:
        heard.append(text)
        stopped.set()

    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="stopped"):
        wait_for_broker(NOBODY, on_wait=hear, stopped=stopped)
    assert NOBODY in heard[0]
    assert time.monotonic() - begun < 5


def test_assign_all_topic_missing_returns_false(cluster: str) -> None:
    consumer: Consumer = build_client(Consumer, consumer_options(cluster))
    assert not assign_all(consumer, "nobody-made-this", from_beginning=True)
    consumer.close()
