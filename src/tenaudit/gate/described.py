"""What a gate does to every operation behind it, in OpenAPI's words: which identity it wants, how it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenaudit.gate.gate import Gate
    from tenaudit.gate.message import RouteRule

__all__ = ["gate_codes", "identity_schemes"]


def identity_schemes(gate: Gate) -> dict[str, dict[str, str]]:
    """Return OpenAPI security schemes by name, all of them needed at once, as the gate's settings give them.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.gate import Gate
        >>> sorted(identity_schemes(Gate("orders", registry=CollectorRegistry())))
        ['roles', 'tenant', 'user']
    """
    if gate.is_edge:
        return {"bearer": {"type": "http", "scheme": "bearer"}}
    headers = {"tenant": "X-Tenant-ID", "roles": "X-Roles", "user": "X-User-ID"}
    if gate.needs_target:
        # RFC 9421 sections 4.1 and 4.2.
        headers |= {"signature": "Signature", "signatureInput": "Signature-Input"}
    return {name: {"type": "apiKey", "in": "header", "name": header} for name, header in headers.items()}


def gate_codes(gate: Gate, rule: RouteRule, *, has_parameters: bool) -> Iterator[str]:
    """Yield the codes that the gate may refuse a route with.

    Args:
        gate: what decides.
        rule: what the route declares.
        has_parameters: whether its path names something that may not be there.
    """
    if not rule.is_public:
        yield from ("unauthorized",) if gate.is_edge else ("untrusted_context", "unauthorized")
        yield from ("missing_tenant_id", "invalid_tenant_id", "invalid_user_id", "ambiguous_header")
        if gate.is_edge:
            yield "unavailable"
    if rule.capability is not None:
        yield "missing_role"
    if has_parameters:
        yield "not_found"
    if gate.is_limited:
        yield "rate_limited"
    yield "internal_error"
