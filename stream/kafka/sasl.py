"""The options that a shop gives, as librdkafka takes them: what it would refuse late, or in other words, is refused."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from export.errors import ConfigError
from stream.kafka.tokens import MSK, OidcTokens, Tokens, msk_tokens

__all__ = ["extensions_of", "librdkafka_options", "mechanism_of", "tokens_of"]


log = logging.getLogger(__name__)


def mechanism_of(options: Mapping[str, str]) -> str:
    """The mechanism of SASL, by either of its names."""
    return options.get("sasl.mechanism", options.get("sasl.mechanisms", "PLAIN"))


def tokens_of(bootstrap_servers: str, options: Mapping[str, str]) -> Tokens | None:
    """The source of tokens, None where passwords are said. ConfigError where the options don't name one."""
    mechanism = mechanism_of(options)
    if mechanism == MSK:
        return msk_tokens(bootstrap_servers, options)
    if mechanism != "OAUTHBEARER":
        return None
    if options.get("sasl.oauthbearer.method", "default").lower() != "oidc":
        raise ConfigError(
            "sasl.mechanism=OAUTHBEARER needs sasl.oauthbearer.method=oidc with sasl.oauthbearer.token.endpoint.url, "
            f"client.id and client.secret; for Amazon's MSK with IAM say sasl.mechanism={MSK}"
        )
    extensions_of(options)
    return OidcTokens(options)


def extensions_of(options: Mapping[str, str]) -> dict[str, str]:
    """What is shown beside a token: sasl.oauthbearer.extensions=logicalCluster=lkc-1,identityPoolId=pool-7."""
    text = options.get("sasl.oauthbearer.extensions", "")
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not name or not separator for name, separator, _ in pairs):
        raise ConfigError("sasl.oauthbearer.extensions has not the form name=value,name=value")
    return {name.strip(): value.strip() for name, _, value in pairs}


def librdkafka_options(bootstrap_servers: str, extra: Mapping[str, str] | None) -> dict[str, Any]:
    """`extra`, in librdkafka's words. It fetches tokens of OpenID Connect itself; MSK's come from a callback."""
    options: dict[str, Any] = dict(extra or {})
    tokens = tokens_of(bootstrap_servers, options)
    if tokens is None or mechanism_of(options) != MSK:
        return options
    for name in ("aws.region", "sasl.mechanisms"):
        options.pop(name, None)
    options.setdefault("security.protocol", "SASL_SSL")
    return options | {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": _callback(tokens)}


def _callback(tokens: Tokens) -> Callable[[str], tuple[str, float]]:
    """What librdkafka calls when it needs a token. It must not raise: a consumer's next call would fail with what is no
    error of Kafka's. A token that is over is refused: error_cb hears of it, and ten seconds later it asks again."""

    def ask(_config: str) -> tuple[str, float]:
        try:
            found = tokens.token()
        except OSError as error:
            log.warning("%s", error)
            return "none", time.time() - 1.0
        return found.text, found.expires_s

    return ask
