"""A small OpenID Connect provider: a token endpoint and its published keys, over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from urllib.request import urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class TokenEndpoint:
    """Issues RS256 tokens by client credentials; its keys rotate when it is told to."""

    def __init__(self, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self.key_requests = 0
        self.is_answering = True
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key; the ones before are not published any more."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._keys = {f"key-{len(self._keys)}-{time.monotonic_ns()}": key}

    def token(self, **claims: Any) -> str:
        """Ask the token endpoint for a token, over HTTP."""
        body = json.dumps(claims).encode()
        with urlopen(f"{self.uri}/token", data=b"claims=" + body, timeout=5) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])

    def published(self) -> bytes:
        keys = [
            {
                **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())),
                "kid": kid,
                "use": "sig",
            }
            for kid, key in self._keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def issue(self, claims: dict[str, Any]) -> str:
        (kid, key), now = next(iter(self._keys.items())), int(time.time())
        standard = {"iss": self.uri, "aud": "flight-mom", "iat": now, "exp": now + 300}
        return jwt.encode({**standard, **claims}, key, "RS256", headers={"kid": kid})


@contextmanager
def running_token_endpoint() -> Iterator[TokenEndpoint]:
    """Serve on a free port of loopback for the time of a `with` block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/keys" or not endpoint.is_answering:
                self.send_error(503)
                return
            endpoint.key_requests += 1
            self._answer(endpoint.published())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            claims = json.loads(parse_qs(body)["claims"][0])
            token = endpoint.issue(claims)
            self._answer(json.dumps({"access_token": token, "token_type": "Bearer"}).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = TokenEndpoint(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
