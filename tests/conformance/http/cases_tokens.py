"""Bearer tokens at an edge: an honest one of each key, and each way in which a forger can build one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.conformance.http.case import TRACED, Case, Expected, envelope, ok, who
from tests.conformance.http.shop import TENANT, TOKEN_KEY, TOKEN_SECRET, TOKEN_VERIFIER

FAR = 4102444800  # the year 2100
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT", "kid": "shared"}
CLAIMS: dict[str, Any] = {
    "sub": "u-1",
    "iss": "idp",
    "aud": "shop",
    "exp": FAR,
    "tenant_id": TENANT,
    "roles": ["Cashier"],
}
OTHER_TENANT = "11111111-2222-4333-8444-555555555555"
TAKEN = who(method="jwt")


def bad(message: str) -> Expected:
    return envelope(401, "unauthorized", message, headers={"www-authenticate": 'Bearer error="invalid_token"'})


NOT_VALID = bad("The bearer token is not valid.")
MALFORMED = bad("The bearer token is malformed or too long.")
EXPIRED = bad("The bearer token has expired.")
NO_CREDENTIAL = envelope(
    401, "unauthorized", "No credential was presented.", headers={"www-authenticate": "Bearer, ApiKey"}
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    return b64(json.dumps(value).encode())


def mac(text: str, key: bytes = TOKEN_SECRET) -> str:
    return b64(hmac.new(key, text.encode(), hashlib.sha256).digest())


def token(header: dict[str, Any] | None = None, /, *, key: bytes = TOKEN_SECRET, **claims: Any) -> str:
    """Build a token byte by byte; a claim of `...` is left out."""
    merged = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ...}
    text = f"{part({**HEADER, **(header or {})})}.{part(merged)}"
    return f"{text}.{mac(text, key)}"


def by_key() -> str:
    text = f"{part({**HEADER, 'alg': 'EdDSA', 'kid': 'issuer'})}.{part(CLAIMS)}"
    return f"{text}.{b64(TOKEN_KEY.sign(text.encode()))}"


def unsigned(algorithm: str) -> str:
    return f"{part({**HEADER, 'alg': algorithm})}.{part(CLAIMS)}."


def bearer(value: str) -> list[tuple[str, str]]:
    return [*TRACED, ("Authorization", f"Bearer {value}")]


_GOOD = token()
_BODY = part({**CLAIMS, "roles": ["SuperAdmin"]})
_MINE = {"kty": "oct", "k": b64(b"a key that the forger brings along")}

FORGED: dict[str, tuple[str, Expected]] = {
    "none": (unsigned("none"), MALFORMED),
    "None": (unsigned("None"), MALFORMED),
    "nOnE": (unsigned("nOnE"), MALFORMED),
    "empty-algorithm": (unsigned(""), MALFORMED),
    "none-with-a-signature": (token({"alg": "none"}), NOT_VALID),
    "signature-stripped": (_GOOD.rpartition(".")[0] + ".", MALFORMED),
    "another-key": (token(key=b"another secret of at least 32 bytes"), NOT_VALID),
    "public-key-as-secret": (token({"kid": "issuer"}, key=TOKEN_VERIFIER), NOT_VALID),
    "algorithm-of-the-token": (token({"alg": "EdDSA"}), NOT_VALID),
    "unknown-kid": (token({"kid": "k9"}), NOT_VALID),
    "kid-is-a-path": (token({"kid": "../../../../dev/null"}, key=b""), NOT_VALID),
    "kid-is-sql": (token({"kid": "x' UNION SELECT 'secret"}), NOT_VALID),
    "kid-is-a-url": (token({"kid": "http://127.0.0.1:9/keys"}), NOT_VALID),
    "kid-is-no-text": (token({"kid": 7}), NOT_VALID),
    "jwk-brought-along": (token({"kid": "k9", "jwk": _MINE}, key=b"a key that the forger brings along"), NOT_VALID),
    "jku": (token({"kid": "k9", "jku": "http://127.0.0.1:9/jwks.json"}), NOT_VALID),
    "x5u": (token({"kid": "k9", "x5u": "http://127.0.0.1:9/chain.pem"}), NOT_VALID),
    "crit": (token({"crit": ["exp"], "exp": FAR}), NOT_VALID),
    "empty-crit": (token({"crit": []}), NOT_VALID),
    "payload-swapped": (".".join([_GOOD.split(".")[0], _BODY, _GOOD.split(".")[2]]), NOT_VALID),
    "expired": (token(exp=1_700_000_000), EXPIRED),
    "expiry-is-text": (token(exp=str(FAR)), EXPIRED),
    "no-expiry": (token(exp=...), NOT_VALID),
    "not-yet": (token(nbf=FAR), bad("The bearer token is not valid yet.")),
    "from-the-future": (token(iat=FAR), bad("The bearer token is issued in the future.")),
    "another-issuer": (token(iss="evil"), NOT_VALID),
    "another-audience": (token(aud="bank"), NOT_VALID),
    "no-subject": (token(sub=...), NOT_VALID),
    "subject-breaks-the-header": (token(sub="u-1\r\nX-Roles: Admin"), bad("The bearer token names no usable subject.")),
    "no-tenant": (token(tenant_id=...), bad("The bearer token names no tenant.")),
    "tenant-is-no-uuid": (token(tenant_id="x"), bad("The bearer token names no tenant.")),
    "two-parts": ("a.b", MALFORMED),
    "four-parts": (f"{_GOOD}.x", MALFORMED),
    "empty": ("", MALFORMED),
    "no-json": (".".join([b64(b"{"), b64(b"{}"), mac("x")]), NOT_VALID),
    "deep-json": (".".join([b64(b"[" * 2000), b64(b"{}"), mac("x")]), NOT_VALID),
}

CASES = [
    Case("token/shared-secret", TAKEN, headers=bearer(_GOOD), variant="edge"),
    Case("token/public-key", TAKEN, headers=bearer(by_key()), variant="edge"),
    Case("token/scheme-in-any-case", TAKEN, headers=[*TRACED, ("Authorization", f"bEARER {_GOOD}")], variant="edge"),
    Case("token/session", who(method="jwt", session="s-1"), headers=bearer(token(sid="s-1")), variant="edge"),
    Case(
        "token/unknown-roles-add-nothing",
        who(method="jwt", roles=[]),
        headers=bearer(token(roles=["Root", 7, None])),
        variant="edge",
    ),
    Case(
        "token/its-tenant-alone-counts",
        who(method="jwt", tenant=OTHER_TENANT),
        headers=[*bearer(token(tenant_id=OTHER_TENANT)), ("X-Tenant-ID", TENANT)],
        variant="edge",
    ),
    Case(
        "token/capability", ok("payment_process"), target="/cap/payment_process", headers=bearer(_GOOD), variant="edge"
    ),
    Case("token/another-scheme", NO_CREDENTIAL, headers=[*TRACED, ("Authorization", "Basic dTpw")], variant="edge"),
    Case(
        "token/sent-twice",
        MALFORMED,
        headers=[*bearer(_GOOD), ("Authorization", f"Bearer {_GOOD}")],
        variant="edge",
    ),
    *(
        Case(f"token/forged/{name}", expected, headers=bearer(text), variant="edge")
        for name, (text, expected) in FORGED.items()
    ),
]
