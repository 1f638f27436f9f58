"""Tokens of OAUTHBEARER for both clients: fetched, kept, renewed; and refused where a client could not follow."""

import asyncio
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer

from bench.rig.brokers.tokens import SIGNER, TokenServer
from export.errors import ConfigError
from stream.errors import BrokerUnavailable
from stream.faust.security import TokenProvider, credentials_of
from stream.kafka import tokens as module
from stream.kafka.clients import (
    admin_options,
    build_client,
    consumer_options,
    producer_options,
    transactional_options,
    wait_for_broker,
)
from stream.kafka.sasl import extensions_of, librdkafka_options, tokens_of
from stream.kafka.tokens import OidcTokens, msk_tokens

BROKERS = "b-1.shop.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"
SECRET = "tell-nobody"


@pytest.fixture
def server() -> Iterator[TokenServer]:
    one = TokenServer("shop", secret=SECRET)
    yield one
    one.close()


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Amazon's signer, stood in for; the regions it was asked for."""
    asked: list[str] = []

    def sign(region: str) -> tuple[str, int]:
        asked.append(region)
        return f"token-{len(asked)}", int(time.time() * 1000) + 900_000

    found = SimpleNamespace(MSKAuthTokenProvider=SimpleNamespace(generate_auth_token=sign))
    monkeypatch.setitem(sys.modules, SIGNER, found)
    monkeypatch.setattr(module, "_msk", {})
    return asked


def test_token_is_fetched_by_client_credentials_and_kept(server: TokenServer) -> None:
    tokens = OidcTokens(server.options)
    first, second = tokens.token(), tokens.token()
    assert first == second
    assert server.asked == [{"grant_type": ["client_credentials"], "scope": ["clicks"]}]
    assert 3500 < first.expires_s - time.time() <= 3600


def test_token_is_renewed_once_four_fifths_of_its_life_are_over(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, begun = OidcTokens(server.options), time.time()
    tokens.token()
    monkeypatch.setattr("stream.kafka.tokens.time.time", lambda: begun + 0.7 * 3600)
    tokens.token()
    assert len(server.asked) == 1
    monkeypatch.setattr("stream.kafka.tokens.time.time", lambda: begun + 0.85 * 3600)
    tokens.token()
    assert len(server.asked) == 2


def test_token_server_that_refuses_or_is_away_is_a_connection_that_fails_and_tells_no_secret(
    server: TokenServer,
) -> None:
    wrong = OidcTokens(server.options | {"sasl.oauthbearer.client.secret": "wrong-0815"})
    with pytest.raises(OSError, match=r"no token from http://127\.0\.0\.1.*401") as caught:
        wrong.token()
    assert "wrong-0815" not in repr(caught.value)
    server.close()
    with pytest.raises(OSError, match="no token from"):
        OidcTokens(server.options).token()


def test_worker_s_consumer_shows_the_same_kind_of_token(server: TokenServer) -> None:
    options = {
        **server.options,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.oauthbearer.extensions": "logicalCluster=lkc-1, identityPoolId=pool-7",
    }
    provider = credentials_of(options).oauth_cb
    assert isinstance(provider, TokenProvider)
    assert asyncio.run(provider.token()) == asyncio.run(provider.token())
    assert len(server.asked) == 1
    assert provider.extensions() == {"logicalCluster": "lkc-1", "identityPoolId": "pool-7"}
    assert librdkafka_options("a:1", options) == options, "librdkafka fetches its own"


@pytest.mark.parametrize("make", [admin_options, consumer_options, producer_options, transactional_options])
def test_every_client_asks_one_source_for_tokens_of_msk(make: object, signer: list[str]) -> None:
    options = make(BROKERS, {"sasl.mechanism": "AWS_MSK_IAM"})  # type: ignore[operator]
    assert (options["sasl.mechanism"], options["security.protocol"]) == ("OAUTHBEARER", "SASL_SSL")
    token, expires_s = options["oauth_cb"]("")
    provider = credentials_of({"sasl.mechanism": "AWS_MSK_IAM"}, BROKERS).oauth_cb
    assert asyncio.run(provider.token()) == token == "token-1"
    assert 800 < expires_s - time.time() <= 900
    assert signer == ["eu-west-1"]


def test_region_of_msk_is_said_or_in_the_brokers_names(signer: list[str]) -> None:
    msk_tokens("10.0.0.7:9098", {"aws.region": "us-east-2"}).token()
    msk_tokens("boot-x.c1.kafka-serverless.ap-southeast-1.amazonaws.com:9098", {}).token()
    assert signer == ["us-east-2", "ap-southeast-1"]
    assert "aws.region" not in librdkafka_options("a:1", {"sasl.mechanism": "AWS_MSK_IAM", "aws.region": "us-east-2"})
    with pytest.raises(ConfigError, match=r"needs aws\.region"):
        msk_tokens("10.0.0.7:9098", {})


def test_token_at_hand_is_shown_to_its_end_where_no_other_can_be_had(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tokens, begun = OidcTokens(server.options), time.time()
    first = tokens.token()
    server.close()
    monkeypatch.setattr("stream.kafka.tokens.time.time", lambda: begun + 0.9 * 3600)
    assert tokens.token() == tokens.token() == first
    assert len(caplog.records) == 1, "not asked for with each connection"
    assert "good for 360 s" in caplog.text
    monkeypatch.setattr("stream.kafka.tokens.time.time", lambda: begun + 1.1 * 3600)
    with pytest.raises(OSError, match="no token"):
        tokens.token()


@pytest.mark.waits
def test_clients_without_a_token_are_not_made_and_the_wait_for_a_broker_says_why(
    monkeypatch: pytest.MonkeyPatch, signer: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_region: str) -> None:
        raise ValueError("Unable to locate credentials")

    monkeypatch.setattr(sys.modules[SIGNER].MSKAuthTokenProvider, "generate_auth_token", fail)
    options = {"sasl.mechanism": "AWS_MSK_IAM", "log_level": "0"}
    with pytest.raises(BrokerUnavailable, match="no token"):
        build_client(Consumer, consumer_options(BROKERS, options))
    with pytest.raises(BrokerUnavailable, match=r"within 0\.5 s: no token can be had"):
        wait_for_broker(BROKERS, options, timeout_s=0.5)
    assert "Unable to locate credentials" in caplog.text


def test_msk_without_credentials_is_a_connection_that_fails(monkeypatch: pytest.MonkeyPatch, signer: list[str]) -> None:
    def fail(_region: str) -> None:
        raise ValueError("Unable to locate credentials")

    monkeypatch.setattr(sys.modules[SIGNER].MSKAuthTokenProvider, "generate_auth_token", fail)
    with pytest.raises(OSError, match="eu-west-1: Unable to locate credentials"):
        msk_tokens(BROKERS, {}).token()
    assert signer == []


def test_msk_without_the_signer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, SIGNER, None)
    monkeypatch.setattr(module, "_msk", {})
    with pytest.raises(ConfigError, match=r"pip install 'nextclick\[msk\]'"):
        admin_options(BROKERS, {"sasl.mechanism": "AWS_MSK_IAM"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sasl.oauthbearer.method": "default"}, r"needs sasl\.oauthbearer\.method=oidc"),
        ({"sasl.oauthbearer.client.secret": ""}, r"method=oidc needs sasl\.oauthbearer\.client\.secret"),
        ({"sasl.oauthbearer.token.endpoint.url": "file:///etc/passwd"}, "must begin with https"),
        ({"sasl.oauthbearer.grant.type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "the worker's consumer"),
        ({"sasl.oauthbearer.extensions": "lkc-1"}, "name=value,name=value"),
        ({"https.ca.location": "/nowhere.pem"}, "https.ca.location can't be used"),
    ],
)
def test_options_that_a_client_could_not_follow_are_refused_for_all(changed: dict[str, str], words: str) -> None:
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": "https://login.example/token",
        "sasl.oauthbearer.client.id": "nextclick",
        "sasl.oauthbearer.client.secret": SECRET,
    }
    assert tokens_of("a:1", options) is not None
    for make in (credentials_of, lambda it: admin_options("a:1", it)):
        with pytest.raises(ConfigError, match=words) as caught:
            make(options | changed)
        assert SECRET not in str(caught.value)


def test_extensions_left_out_are_none() -> None:
    assert extensions_of({}) == {}
    assert tokens_of("a:1", {"sasl.mechanism": "PLAIN"}) is None
