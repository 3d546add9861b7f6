"""The shop that every adapter serves: what its handlers answer, without a framework, and the gates before it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate
from tenaudit.ratelimit import InMemoryEngine
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyRecord,
    ContextVerifier,
    InMemoryApiKeyStore,
    JwtAuthenticator,
    SecuritySettings,
    SignatureKey,
    current_context,
    new_api_key,
)
from tenaudit.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = "application/json"
TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
SIGNING_KEY = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")
API_KEY = "ta_0123456789ab_" + "S" * 43
# The keys of an issuer of tokens: one that it shares with the shop, and one of which the shop knows the public half.
TOKEN_SECRET = b"an example secret of 32 bytes..."
TOKEN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TOKEN_VERIFIER = TOKEN_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BODY_LIMIT = 1024

CAPABILITIES = (
    "inventory_view",
    "customer_view",
    "customer_write",
    "payment_process",
    "loyalty_view",
    "gdpr_manage",
    "audit_view",
    "audit_view_unredacted",
)

ERRORS: dict[str, Callable[[], ApiError]] = {
    "bad_request": lambda: ApiError.bad_request("Field a is wrong.", errors=[{"field": "a", "message": "is wrong"}]),
    "missing_tenant_id": ApiError.missing_tenant_id,
    "unauthorized": ApiError.unauthorized,
    "forbidden": ApiError.forbidden,
    "missing_role": lambda: ApiError.missing_role("payment_access"),
    "not_found": lambda: ApiError.not_found("No such customer.", code="customer_not_found"),
    "conflict": ApiError.conflict,
    "method_not_allowed": lambda: ApiError.method_not_allowed(["POST", "GET"]),
    "payload_too_large": ApiError.payload_too_large,
    "unprocessable": lambda: ApiError.unprocessable(errors=[{"field": "b", "message": "ist ungültig"}]),
    "rate_limited": lambda: ApiError.rate_limited(7),
    "unavailable": lambda: ApiError.unavailable(retry_after=3),
    "internal": ApiError.internal,
}


def error_of(kind: str) -> ApiError:
    return ERRORS[kind]()


def whoami() -> bytes:
    """Return the whole context as JSON, save for the client's address."""
    context = current_context()
    trace = context.trace
    return compact(
        {
            "actor": [context.actor.id, context.actor.type],
            "agent": context.user_agent,
            "method": context.auth_method,
            "roles": sorted(context.roles),
            "session": context.session_id,
            "tenant": str(context.tenant_id),
            "trace": [trace.trace_id, trace.parent_id, trace.sampled, trace.tracestate],
        }
    )


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def gate_of(variant: str) -> Gate:
    """Return the gate of one variant of the shop."""
    options: dict[str, Any] = {"registry": CollectorRegistry()}
    match variant:
        case "limited":
            options |= {"limits": ["3/minute"], "limiter": InMemoryEngine(clock=ManualClock())}
        case "roles" | "none":
            options["disclose"] = variant
        case "signed":
            options["security"] = SecuritySettings(trust="signed", verifier=ContextVerifier([SIGNING_KEY]))
        case "edge":
            keys = {"shared": ("HS256", TOKEN_SECRET), "issuer": ("EdDSA", TOKEN_VERIFIER)}
            options["authenticators"] = [
                JwtAuthenticator(keys, issuer="idp", audience="shop"),
                ApiKeyAuthenticator(InMemoryApiKeyStore([_record()])),
            ]
        case "mesh":
            pass
        case _:
            raise ValueError(variant)
    return Gate("shop", **options)


def _record() -> ApiKeyRecord:
    _, made = new_api_key(UUID(TENANT), ["Inventory"])
    prefix, secret = API_KEY[:15], API_KEY[16:]
    return dataclasses.replace(made, prefix=prefix, secret_hash=hashlib.sha256(secret.encode()).digest())
