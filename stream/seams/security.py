"""TLS for aiokafka from the options that librdkafka takes."""

import ssl
from collections.abc import Mapping

from export.errors import ConfigError

__all__ = ["ssl_context_of"]


def ssl_context_of(options: Mapping[str, str]) -> ssl.SSLContext:
    """A context from the `ssl.*.location` options; ConfigError where a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=options.get("ssl.ca.location"))
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
