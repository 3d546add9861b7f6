"""Everything wired together: keys, registries, producers, the store and the four servers."""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import httpx
import jwt
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from tenaudit.adapters.starlette import audit_routes, install, internal_routes
from tenaudit.audit import AuditProducer, Redactor
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.demo.gateway import gateway_app
from tenaudit.demo.services import ERRORS, order_app, payment_app
from tenaudit.demo.serving import listen, serving
from tenaudit.gate import Gate
from tenaudit.security import (
    ApiKeyAuthenticator,
    ContextSigner,
    ContextVerifier,
    InMemoryApiKeyStore,
    JwtAuthenticator,
    SecuritySettings,
    SignatureKey,
    new_api_key,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tenaudit.security import Authenticator

__all__ = ["LIMIT", "REDACTED", "TENANTS", "Platform", "running"]

_NAMESPACE = UUID("6f1c2f0a-7d53-5b8e-9a55-0f6f6f2a1f10")
TENANTS: Mapping[str, UUID] = {name: uuid5(_NAMESPACE, name) for name in ("acme", "globex", "initech")}
# Small on purpose: one noisy tenant must run into it within the demo.
LIMIT = "25/minute;name=tenant"
REDACTED = ("payload.card.number", "payload.customer.email")
_SERVICES = ("gateway", "order", "payment", "audit")
_ISSUER, _AUDIENCE = "demo-identity-provider", "demo-platform"


@dataclass(frozen=True, slots=True)
class Platform:
    """The running platform: where it is, and what its clients need."""

    urls: Mapping[str, str]
    store: SqliteStore
    producers: Mapping[str, AuditProducer]
    registries: Mapping[str, CollectorRegistry]
    api_key: str
    token_secret: str

    def token(self, tenant: str, user: str, *roles: str, valid_seconds: float = 3600.0) -> str:
        """Return a signed token of the demo's identity provider."""
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user,
            "exp": int(time.time() + valid_seconds),
            "tenant_id": str(TENANTS[tenant]),
            "roles": list(roles),
        }
        return jwt.encode(claims, self.token_secret, "HS256", headers={"kid": "demo"})

    async def flush(self) -> None:
        """Wait until every event emitted so far is stored."""
        for producer in self.producers.values():
            await producer.flush()


@asynccontextmanager
async def running(folder: Path, *, port: int = 0) -> AsyncIterator[Platform]:
    """Run the platform for the length of the block; *port* is the gateway's, 0 for a free one."""
    async with AsyncExitStack() as stack:
        sockets = {name: listen(port if name == "gateway" else 0) for name in _SERVICES}
        for bound in sockets.values():
            stack.callback(bound.close)
        store = await stack.enter_async_context(SqliteStore.open(folder / "audit.db"))
        registries = {name: CollectorRegistry() for name in _SERVICES}
        producers = {
            name: await stack.enter_async_context(
                AuditProducer(SqliteSink(store), service=name, registry=registries[name])
            )
            for name in _SERVICES
        }
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=5.0, trust_env=False))
        api_key, key_record = new_api_key(TENANTS["globex"], ["Inventory", "Cashier"])
        platform = Platform(
            {name: f"http://127.0.0.1:{bound.getsockname()[1]}" for name, bound in sockets.items()},
            store,
            producers,
            registries,
            api_key,
            secrets.token_urlsafe(32),
        )
        authenticators: list[Authenticator] = [
            JwtAuthenticator({"demo": ("HS256", platform.token_secret)}, issuer=_ISSUER, audience=_AUDIENCE),
            ApiKeyAuthenticator(InMemoryApiKeyStore([key_record])),
        ]
        # Payments and the trail believe what the gateway has signed; orders trust the mesh, to show both.
        key = SignatureKey.hmac_sha256("gateway", secrets.token_bytes(32))
        signed = SecuritySettings(trust="signed", verifier=ContextVerifier([key]))
        trust = {"order": SecuritySettings(), "payment": signed, "audit": signed}
        gates = {
            name: Gate(name, producer=producers[name], registry=registries[name], errors=ERRORS, security=trust[name])
            for name in trust
        }
        gates["gateway"] = Gate(
            "gateway",
            producer=producers["gateway"],
            registry=registries["gateway"],
            authenticators=authenticators,
            limits=[LIMIT],
        )
        upstreams = {
            "orders": platform.urls["order"],
            "payments": platform.urls["payment"],
            "audit": platform.urls["audit"],
        }
        apps = {
            "order": order_app(gates["order"], producers["order"]),
            "payment": payment_app(gates["payment"], producers["payment"]),
            "audit": _audit_app(gates["audit"], store),
            "gateway": gateway_app(gates["gateway"], client, upstreams, ContextSigner(key)),
        }
        for name, app in apps.items():
            await stack.enter_async_context(serving(app, sockets[name]))
        yield platform


def _audit_app(gate: Gate, store: SqliteStore) -> Starlette:
    app = Starlette(routes=[*audit_routes(gate, store, redactor=Redactor(REDACTED)), *internal_routes(gate)])
    install(app, gate)
    return app
