"""TLS and SASL for aiokafka from the options that librdkafka takes, and silence about passwords and tokens."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import SASLMechanism

from export.errors import ConfigError
from stream.kafka.sasl import extensions_of, mechanism_of, tokens_of
from stream.kafka.tokens import MSK, Tokens

__all__ = ["TokenProvider", "credentials_of", "hide_passwords", "ssl_context_of"]

_UNDERSTOOD = frozenset(
    {
        "security.protocol",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.grant.type",
    }
)
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", MSK)


class TokenProvider(AbstractTokenProvider):
    """What aiokafka asks for a token with each connection, also when the broker ends one whose token is over."""

    def __init__(self, tokens: Tokens, extensions: Mapping[str, str]) -> None:
        self._tokens, self._extensions = tokens, dict(extensions)

    async def token(self) -> str:
        """Fetched in another thread: the worker's clicks do not wait for a token server."""
        return (await asyncio.to_thread(self._tokens.token)).text

    def extensions(self) -> dict[str, str]:
        """What is shown beside it."""
        return self._extensions


def credentials_of(options: Mapping[str, str], bootstrap_servers: str = "") -> Any:
    """Faust's credentials, which it hands to aiokafka; None for a plain connection.

    ConfigError for an option about security that only librdkafka would follow, as the worker needs both clients.
    """
    strange = [name for name in options if name.startswith(("ssl.", "sasl.")) and name not in _UNDERSTOOD]
    if strange:
        raise ConfigError(
            f"the client option {strange[0]} is not supported; supported: {', '.join(sorted(_UNDERSTOOD))}"
        )
    mechanism = mechanism_of(options)
    protocol = options.get("security.protocol", "SASL_SSL" if mechanism == MSK else "PLAINTEXT").upper()
    if protocol not in _PROTOCOLS:
        raise ConfigError(f"security.protocol must be one of {', '.join(_PROTOCOLS)}, not {protocol!r}")
    context = ssl_context_of(options) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return SSLCredentials(context=context) if context else None
    if mechanism not in _MECHANISMS:
        raise ConfigError(f"sasl.mechanism must be one of {', '.join(_MECHANISMS)}, not {mechanism!r}")
    tokens = tokens_of(bootstrap_servers, options)
    if tokens is not None:
        return OAuthCredentials(oauth_cb=TokenProvider(tokens, extensions_of(options)), ssl_context=context)
    if not options.get("sasl.username") or not options.get("sasl.password"):
        raise ConfigError(f"security.protocol={protocol} needs sasl.username and sasl.password")
    return SASLCredentials(
        username=options["sasl.username"],
        password=options["sasl.password"],
        mechanism=SASLMechanism(mechanism),
        ssl_context=context,
    )


def ssl_context_of(options: Mapping[str, str]) -> ssl.SSLContext:
    """A context from the `ssl.*.location` options; ConfigError where a file cannot be used."""
    try:
        context = _trusting(options.get("ssl.ca.location"))
        certificate = options.get("ssl.certificate.location")
        if certificate:
            context.load_cert_chain(certificate, options.get("ssl.key.location"), options.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the TLS options cannot be used: {error}") from error
    if options.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    if options.get("enable.ssl.certificate.verification", "true") == "false":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _trusting(location: str | None) -> ssl.SSLContext:
    """As for librdkafka, `ssl.ca.location` is a file or a folder."""
    if location is not None and Path(location).is_dir():
        return ssl.create_default_context(capath=location)
    return ssl.create_default_context(cafile=location)


class _NoPasswords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(type(argument).__name__.startswith("SaslAuthenticate") for argument in arguments)


def hide_passwords() -> None:
    """Seam: at level debug aiokafka logs every request, the one with the password in the clear too."""
    logger = logging.getLogger("aiokafka.conn")
    if not any(isinstance(one, _NoPasswords) for one in logger.filters):
        logger.addFilter(_NoPasswords())
