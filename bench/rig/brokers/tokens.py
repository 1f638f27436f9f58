"""Tokens that nobody has signed, which `SecureBroker` takes: of a server of OpenID Connect, and of a signer for MSK."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

__all__ = ["SIGNER", "TokenServer", "unsigned_token", "write_signer"]

SIGNER = "aws_msk_iam_sasl_signer"  # the module of Amazon's that is stood in for


def unsigned_token(subject: str, life_s: float = 3600.0) -> str:
    """A JSON web token, `alg` none."""
    now = int(time.time())
    claims = {"sub": subject, "iat": now, "exp": now + int(life_s), "scope": "clicks"}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), ""]
    )


class TokenServer:
    """Gives tokens of `subject` to the client that knows the secret; `asked` are the forms that came."""

    def __init__(
        self, subject: str, *, client: str = "nextclick", secret: str = "hush", life_s: float = 3600.0
    ) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.life_s = life_s
        login = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                server.asked.append(parse_qs(form))
                known = self.headers["Authorization"] == login
                said = {"access_token": unsigned_token(subject, server.life_s), "expires_in": server.life_s}
                body = json.dumps(said if known else {"error": "invalid_client"}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self.options = {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.url,
            "sasl.oauthbearer.client.id": client,
            "sasl.oauthbearer.client.secret": secret,
            "sasl.oauthbearer.scope": "clicks",
        }

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def write_signer(folder: Path, subject: str) -> Path:
    """Write the module by whose name the signer is imported; return the folder for PYTHONPATH."""
    lines = (
        "import time",
        f"from {__name__} import unsigned_token",
        "class MSKAuthTokenProvider:",
        "    @staticmethod",
        "    def generate_auth_token(region):",
        "        assert region == 'eu-west-1'",
        f"        return unsigned_token({subject!r}), int(time.time() * 1000) + 900_000",
    )
    (folder / f"{SIGNER}.py").write_text("\n".join(lines))
    return folder
