"""The requests of the demo, each with what must come of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenaudit.demo.platform import TENANTS, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

__all__ = ["NOISE", "Answer", "Step", "drive", "noise", "script"]

_ORDER = {"sku": "tea", "quantity": 2, "customer": {"email": "ada@example.com"}}
_PAYMENT = {"order_id": "o-1", "amount": 1999, "currency": "EUR", "card": {"number": "4242424242424242"}}
NOISE = 40
_LAYERS = {
    "unauthorized": "credential",
    "untrusted_context": "signature",
    "missing_tenant_id": "identity",
    "invalid_tenant_id": "identity",
    "ambiguous_header": "identity",
    "not_found": "route",
    "method_not_allowed": "route",
    "rate_limited": "rate limit",
    "missing_role": "policy",
    "internal_error": "handler (crash)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One request: who asks, what for, and what must come back."""

    say: str
    method: str
    path: str
    status: int
    code: str | None = None
    service: str = "gateway"
    headers: Sequence[tuple[str, str]] = ()
    body: dict[str, Any] | str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    step: Step
    status: int
    code: str | None
    trace_id: str
    body: Any = field(repr=False)

    @property
    def decided_by(self) -> str:
        """The layer that gave the answer, told from status and code."""
        return _LAYERS.get(self.code or "", "handler")

    @property
    def as_expected(self) -> bool:
        """Whether status and code are those of the step."""
        return self.status == self.step.status and self.code == self.step.code


def script(platform: Platform) -> Iterator[Step]:
    """Yield the requests in order: several tenants and roles, and everything that must be refused."""
    cashier = _bearer(platform.token("acme", "carol", "Cashier"))
    support = _bearer(platform.token("acme", "sam", "Support"))
    admin = _bearer(platform.token("acme", "ada", "Admin"))
    key = (("X-API-Key", platform.api_key),)
    acme, globex = str(TENANTS["acme"]), str(TENANTS["globex"])

    yield Step("a cashier of acme creates an order", "POST", "/orders", 201, headers=cashier, body=_ORDER)
    yield Step("and takes the payment", "POST", "/payments", 201, headers=cashier, body=_PAYMENT)
    yield Step("support may not void it", "POST", "/payments/p-1/void", 403, "missing_role", headers=support)
    yield Step("the cashier may", "POST", "/payments/p-1/void", 200, headers=cashier)
    yield Step("but only once", "POST", "/payments/p-1/void", 409, "payment_already_voided", headers=cashier)
    yield Step("an API key of globex creates an order", "POST", "/orders", 201, headers=key, body=_ORDER)
    yield Step("support of acme reads its order", "GET", "/orders/o-1", 200, headers=support)
    yield Step("nobody reads an order that is not there", "GET", "/orders/o-9", 404, "order_not_found", headers=support)
    yield Step("no credential", "GET", "/orders/o-1", 401, "unauthorized")
    yield Step("a forged token", "GET", "/orders/o-1", 401, "unauthorized", headers=_bearer("a.b.c"))
    expired = _bearer(platform.token("acme", "carol", "Cashier", valid_seconds=-60))
    yield Step("an expired token", "GET", "/orders/o-1", 401, "unauthorized", headers=expired)
    spoof = (*cashier, ("X-Tenant-ID", globex), ("X-Roles", "SuperAdmin"), ("X_Roles", "Admin"))
    yield Step("spoofed roles are stripped", "GET", "/audit/events", 403, "missing_role", headers=spoof)
    yield Step(
        "a body without its fields", "POST", "/orders", 422, "unprocessable", headers=cashier, body={"sku": "tea"}
    )
    yield Step("a body that is not JSON", "POST", "/orders", 400, "bad_request", headers=cashier, body="{")
    yield Step("a route that is not there", "GET", "/nowhere", 404, "not_found", headers=cashier)
    yield Step("a crash in a handler", "GET", "/orders/report", 500, "internal_error", headers=support)
    yield _inside("past the gateway, without a tenant", "GET", 400, "missing_tenant_id")
    yield _inside("with a tenant that is no UUID", "GET", 400, "invalid_tenant_id", ("X-Tenant-ID", "acme"))
    tenants = (("X-Tenant-ID", acme), ("X-Tenant-ID", globex))
    yield _inside("with two tenants", "GET", 400, "ambiguous_header", *tenants)
    mesh = (("X-Tenant-ID", acme), ("X-Roles", "Cashier"))
    yield _inside("with the wrong method", "DELETE", 405, "method_not_allowed", *mesh)
    yield Step("to a service that wants signatures", "POST", "/payments", 401, "untrusted_context", "payment", mesh)
    query = "/audit/events?action=payment.processed"
    yield Step("support reads the trail, masked", "GET", query, 200, headers=support)
    yield Step("an admin reads it whole", "GET", query, 200, headers=admin)
    yield Step("an unknown filter", "GET", "/audit/events?colour=red", 400, "invalid_parameter", headers=admin)
    yield Step("a forged cursor", "GET", "/audit/events?cursor=AAAA", 400, "invalid_cursor", headers=admin)


def noise(platform: Platform) -> list[Step]:
    """Return the burst of one noisy tenant, more than its limit allows."""
    token = _bearer(platform.token("initech", "bill", "Manager"))
    return [Step("a noisy tenant", "POST", "/orders", 201, headers=token, body=_ORDER) for _ in range(NOISE)]


def _inside(say: str, method: str, status: int, code: str, *headers: tuple[str, str]) -> Step:
    """A request straight to the order service, as from inside the mesh."""
    return Step(say, method, "/orders/o-1", status, code, "order", headers)


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),)


async def drive(platform: Platform, client: httpx.AsyncClient, steps: Sequence[Step]) -> list[Answer]:
    """Send *steps* at once and return their answers in order."""
    return list(await asyncio.gather(*(_send(platform, client, step) for step in steps)))


async def _send(platform: Platform, client: httpx.AsyncClient, step: Step) -> Answer:
    if step.path.startswith("/audit"):
        await platform.flush()
    content = step.body if isinstance(step.body, str) else None
    answer = await client.request(
        step.method,
        platform.urls[step.service] + step.path,
        headers=list(step.headers),
        content=content,
        json=None if content is not None else step.body,
    )
    is_json = "json" in answer.headers.get("content-type", "")
    return Answer(
        step,
        answer.status_code,
        answer.headers.get("x-error-code"),
        answer.headers.get("x-trace-id", ""),
        answer.json() if is_json else None,
    )
