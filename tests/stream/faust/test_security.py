"""What the two clients are told of TLS and passwords, and that nobody else is."""

import inspect
import logging
import pprint
import traceback

import pytest
from aiokafka import conn
from aiokafka.protocol.admin import SaslAuthenticateRequest_v0
from faust.auth import SASLCredentials, SSLCredentials

from export.errors import ConfigError
from stream.config import StreamConfig
from stream.faust.security import credentials_of, hide_passwords
from stream.kafka.topics import build_admin

SECRET = "tell-nobody"
LOGIN = {"sasl.username": "shop", "sasl.password": SECRET}


def test_credentials_of_options_are_those_that_librdkafka_takes() -> None:
    assert credentials_of({}) is None
    assert isinstance(credentials_of({"security.protocol": "ssl"}), SSLCredentials)
    found = credentials_of({"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", **LOGIN})
    assert isinstance(found, SASLCredentials)
    assert (found.mechanism.value, found.username, found.password) == ("SCRAM-SHA-512", "shop", SECRET)
    assert found.ssl_context.check_hostname
    plain = credentials_of({"security.protocol": "SASL_PLAINTEXT", **LOGIN})
    assert plain.ssl_context is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security.protocol": "TLS"}, "security.protocol must be one of"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI", **LOGIN}, "sasl.mechanism must be one of"),
        ({"security.protocol": "SASL_SSL", "sasl.username": "shop"}, "needs sasl.username and sasl.password"),
        (
            {"ssl.keystore.location": "/k.p12", "ssl.keystore.password": SECRET},
            "ssl.keystore.location is not supported",
        ),
        ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere.pem"}, "TLS options cannot be used"),
    ],
)
def test_credentials_of_options_that_one_client_would_ignore_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        credentials_of(options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_ssl_context_of_a_folder_of_authorities(tmp_path: object) -> None:
    assert credentials_of({"security.protocol": "SSL", "ssl.ca.location": str(tmp_path)}) is not None


def test_config_and_credentials_do_not_show_the_password() -> None:
    options = {"security.protocol": "SASL_SSL", **LOGIN}
    config = StreamConfig(bootstrap_servers="a:1", registry="r", kafka=options, redis_url=f"redis://:{SECRET}@r")
    shown = [repr(config), str(config), pprint.pformat(config), repr(credentials_of(options))]
    assert not [text for text in shown if SECRET in text]


def test_client_options_refused_by_librdkafka_do_not_show_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        build_admin("a:1", {**LOGIN, "security.protocol": "none of these"})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_hide_passwords_keeps_the_request_that_holds_it_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    hide_passwords()
    hide_passwords()
    logger = logging.getLogger("aiokafka.conn")
    assert len(logger.filters) == 1
    with caplog.at_level(logging.DEBUG, "aiokafka.conn"):
        request = SaslAuthenticateRequest_v0(b"\0shop\0" + SECRET.encode())
        logger.debug("Request to %s:%d %d: %s", "host", 1, 2, request)
        logger.debug("Request to %s:%d %d: %s", "host", 1, 2, "another")
    assert SECRET in str(request), "aiokafka would show it"
    assert caplog.messages == ["Request to host:1 2: another"]


def test_aiokafka_logs_requests_where_the_filter_sits() -> None:
    assert conn.log.name == "aiokafka.conn"
    text = inspect.getsource(conn.AIOKafkaConnection.send)
    assert '"Request to %s:%d %d: %s"' in text
