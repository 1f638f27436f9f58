"""Apache Kafka on this machine's Java with a second listener: TLS, and users who say a password."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.jvm import JvmBroker
from bench.rig.brokers.process import free_port

__all__ = ["GUEST", "PASSWORD", "USER", "SecureBroker", "make_authority"]

USER = "shop"  # may do everything
GUEST = "guest"  # may do what it is allowed; the same password, by PLAIN only
PASSWORD = "tell=nobody-4711"  # of a user by both mechanisms
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


class SecureBroker(JvmBroker):
    """`secure` is the address of the SASL_SSL listener, `authority` the certificate that its own is signed by."""

    def __init__(self) -> None:
        self._certificates = Path(tempfile.mkdtemp(prefix="nextclick-tls-"))
        self.authority = make_authority(self._certificates)
        self.secure = f"127.0.0.1:{free_port()}"
        super().__init__()
        self.label += " with SASL_SSL"

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._certificates, ignore_errors=True)

    def _settings(self, controller: str) -> dict[str, str]:
        settings = super()._settings(controller)
        for name, value in {
            "listeners": f"SECURE://{self.secure}",
            "advertised.listeners": f"SECURE://{self.secure}",
            "listener.security.protocol.map": "SECURE:SASL_SSL",
        }.items():
            settings[name] += f",{value}"
        prefix = "listener.name.secure"
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in (USER, GUEST))
        return settings | {
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,OAUTHBEARER",
            f"{prefix}.plain.sasl.jaas.config": f"{_PLAIN} required {users};",
            f"{prefix}.oauthbearer.sasl.jaas.config": f"{_BEARER} required;",  # takes tokens that nobody has signed
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{USER};User:ANONYMOUS",
            f"{prefix}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": str(self._certificates / "broker.pem"),
        }

    def _format_options(self) -> list[str]:
        return ["--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"]


def make_authority(folder: Path) -> Path:
    """Make an authority and, signed by it, a certificate and key for 127.0.0.1 in broker.pem; return the former."""
    if shutil.which("openssl") is None:
        raise BrokerMissing("openssl is not on the PATH; install it (Debian: apt-get install openssl)")
    authority, request = folder / "authority.pem", folder / "request.pem"
    key, certificate, extensions = folder / "broker.key", folder / "broker.crt", folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    new = ["req", "-newkey", "rsa:2048", "-nodes"]
    days = ["-days", "2"]
    _openssl(
        *new, "-x509", "-subj", "/CN=authority", "-keyout", f"{folder}/authority.key", "-out", f"{authority}", *days
    )
    _openssl(*new, "-subj", "/CN=broker", "-keyout", f"{key}", "-out", f"{request}")
    signed_by = ["-CA", f"{authority}", "-CAkey", f"{folder}/authority.key", "-CAcreateserial"]
    _openssl(
        "x509", "-req", "-in", f"{request}", *signed_by, "-extfile", f"{extensions}", "-out", f"{certificate}", *days
    )
    (folder / "broker.pem").write_text(key.read_text() + certificate.read_text())
    return authority


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise BrokerMissing(f"openssl failed: {done.stderr[-500:]}")
