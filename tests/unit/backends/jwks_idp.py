"""An identity provider on a loopback port, which answers as a test says, for the tests of JWKS."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

__all__ = ["EC", "ED", "RSA", "IdentityProvider", "identity_provider", "jwk"]

EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
_KINDS = {rsa.RSAPublicKey: "RS256", ec.EllipticCurvePublicKey: "ES256", ed25519.Ed25519PublicKey: "EdDSA"}


def jwk(key, **members):
    """Write the public half of a key as a JWK; a member of `...` is taken away."""
    public = key.public_key()
    algorithm = next(name for kind, name in _KINDS.items() if isinstance(public, kind))
    written = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    merged = {**written, "use": "sig", "alg": algorithm, **members}
    return {name: value for name, value in merged.items() if value is not ...}


class IdentityProvider:
    """What the next answers are, and how often it was asked. `release` lets answers go that are `held`."""

    def __init__(self):
        self.status, self.headers, self.cut = 200, {}, False
        self.body = b""
        self.asked = []
        self.arrived = threading.Semaphore(0)
        self.release = threading.Event()
        self.release.set()
        self.url = ""

    def publish(self, **keys):
        """Answer with these keys, by key id."""
        self.status, self.headers, self.cut = 200, {}, False
        self.body = json.dumps({"keys": [jwk(key, kid=kid) for kid, key in keys.items()]}).encode()

    def hold(self):
        """Keep every answer back until `release` is set."""
        self.release.clear()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        idp = self.server.idp
        idp.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        idp.arrived.release()
        idp.release.wait(20)
        self.send_response(idp.status)
        for name, value in {"Content-Length": str(len(idp.body)), **idp.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(idp.body[: len(idp.body) // 2] if idp.cut else idp.body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args):
        """Say nothing on stderr."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


@contextmanager
def identity_provider():
    idp = IdentityProvider()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.idp = idp
        idp.url = f"http://127.0.0.1:{server.server_port}/jwks"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield idp
        finally:
            idp.release.set()
            server.shutdown()
            thread.join(10)
