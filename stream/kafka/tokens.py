"""Tokens of OAUTHBEARER: by OpenID Connect, and those that Amazon's MSK takes for IAM.

    sasl.mechanism=OAUTHBEARER, sasl.oauthbearer.method=oidc     librdkafka fetches its own; `OidcTokens` is for others
    sasl.mechanism=AWS_MSK_IAM                                   a name of Java's clients; all of ours ask `MskTokens`

A token is kept until four fifths of its life are over, and, where no other can be had, to its end. Errors are OSErrors:
to a client they are a connection that failed, which it tries again; they name the address, and never a secret.
"""

import base64
import logging
import re
import ssl
import threading
import time
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from export.errors import ConfigError

__all__ = ["MSK", "MskTokens", "OidcTokens", "Token", "Tokens", "msk_tokens"]

log = logging.getLogger(__name__)

MSK = "AWS_MSK_IAM"
_ANSWER_S = 10.0
_KEPT = 0.8  # of a token's life; librdkafka renews its own at the same point
_AGAIN_S = 10.0  # between two tries, while the token at hand is good
_LIFE_S = 300.0  # of a token whose server does not say
_MOST_BYTES = 1 << 20
_REGION = re.compile(r"\.kafka(?:-serverless)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.")  # in a broker's name
_SIGNER = "aws_msk_iam_sasl_signer"


class Token(NamedTuple):
    """What a broker is shown, and until when (seconds since the epoch)."""

    text: str
    expires_s: float


class Tokens(ABC):
    """A source of tokens; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: Token | None = None
        self._renew_at = 0.0
        self._lock = threading.Lock()

    def token(self) -> Token:
        """One that is good for a while. Blocks; OSError where none can be had."""
        with self._lock:
            now = time.time()
            if self._kept is None or now >= self._renew_at:
                self._renew(now)
            assert self._kept is not None
            return self._kept

    def _renew(self, now: float) -> None:
        try:
            self._kept = self._fetch()
        except OSError as error:
            if self._kept is None or now >= self._kept.expires_s:
                raise
            log.warning("%s; the one at hand is good for %.0f s", error, self._kept.expires_s - now)
            self._renew_at = now + _AGAIN_S
        else:
            self._renew_at = now + _KEPT * max(0.0, self._kept.expires_s - now)

    @abstractmethod
    def _fetch(self) -> Token: ...


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = _LIFE_S


class OidcTokens(Tokens):
    """By the grant of client credentials, from the options that librdkafka has for it."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """ConfigError where an option is missing, or only librdkafka would follow it."""
        super().__init__()
        name = "sasl.oauthbearer."
        needed = [f"{name}{one}" for one in ("token.endpoint.url", "client.id", "client.secret")]
        missing = [one for one in needed if not options.get(one)]
        if missing:
            raise ConfigError(f"sasl.oauthbearer.method=oidc needs {', '.join(missing)}")
        self._url, self._id, self._secret = (options[one] for one in needed)
        if not self._url.startswith(("https://", "http://")):
            raise ConfigError(f"{name}token.endpoint.url must begin with https:// or http://")
        if options.get(f"{name}grant.type", "client_credentials") != "client_credentials":
            raise ConfigError(f"{name}grant.type must be client_credentials: the worker's consumer knows no other")
        self._scope = options.get(f"{name}scope", "")
        try:
            self._context = ssl.create_default_context(cafile=options.get("https.ca.location"))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"https.ca.location can't be used: {error}") from error

    def _fetch(self) -> Token:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        login = base64.b64encode(f"{self._id}:{self._secret}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
        request = urllib.request.Request(self._url, urllib.parse.urlencode(form).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S, context=self._context) as answer:
                found = msgspec.json.decode(answer.read(_MOST_BYTES), type=_Answer)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise OSError(f"no token from {self._url}: {error}") from None
        return Token(found.access_token, time.time() + found.expires_in)


class MskTokens(Tokens):
    """Signed by the credentials that the AWS SDK finds: variables, profile, the machine's or the pod's role."""

    def __init__(self, region: str, signer: Any) -> None:
        super().__init__()
        self._region, self._signer = region, signer

    def _fetch(self) -> Token:
        try:
            text, expires_ms = self._signer.generate_auth_token(self._region)
        except Exception as error:  # of botocore: no credentials, no network
            raise OSError(f"no token for MSK in {self._region}: {error}") from error
        return Token(text, expires_ms / 1000)


_msk: dict[str, MskTokens] = {}  # by region: all clients of a process show one token
_msk_lock = threading.Lock()


def msk_tokens(bootstrap_servers: str, options: Mapping[str, str]) -> MskTokens:
    """The source for a cluster; its region is the option aws.region, or stands in the brokers' names. ConfigError where
    it does not, or the signer is not installed."""
    found = _REGION.search(bootstrap_servers)
    region = options.get("aws.region") or (found[1] if found else "")
    if not region:
        raise ConfigError(f"sasl.mechanism={MSK} needs aws.region, as the brokers' names do not say it")
    with _msk_lock:
        if region not in _msk:
            try:
                signer = import_module(_SIGNER).MSKAuthTokenProvider
            except ImportError as error:
                raise ConfigError(f"sasl.mechanism={MSK} needs pip install 'nextclick[msk]': {error}") from error
            _msk[region] = MskTokens(region, signer)
        return _msk[region]
