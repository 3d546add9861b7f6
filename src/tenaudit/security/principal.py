"""A verified identity at the gateway, and the headers that carry it inward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.security.extract import IDENTITY_HEADERS

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.security.context import Actor

__all__ = ["Principal", "strip_identity_headers", "synthesize_headers"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who an authenticator found: tenant, actor and roles, all from a verified credential.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.security import Actor
        >>> dict(synthesize_headers(Principal(UUID(int=1), Actor("u-1"), frozenset({"Cashier"}))))["X-Roles"]
        'Cashier'
    """

    tenant_id: UUID
    actor: Actor
    roles: frozenset[str]
    auth_method: str = "jwt"
    session_id: str | None = None


def strip_identity_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Remove every spelling of an identity header that some server would fold into the real one.

    WSGI servers fold case, and some fold underscores and spaces into hyphens, so all three count as equal
    here. `X-Trace-ID` goes too: a client continues a trace with `traceparent` or not at all.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, value) for name, value in pairs if _folded(name) not in IDENTITY_HEADERS]


def _folded(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def synthesize_headers(principal: Principal) -> list[tuple[str, str]]:
    """Return the identity headers of *principal*, each with exactly one value, in a fixed order."""
    pairs = [
        ("X-Tenant-ID", str(principal.tenant_id)),
        ("X-Roles", ",".join(sorted(principal.roles))),
        ("X-Auth-Method", principal.auth_method),
    ]
    if principal.actor.id is not None:
        pairs += [("X-User-ID", principal.actor.id), ("X-Actor-Type", principal.actor.type)]
    if principal.session_id is not None:
        pairs.append(("X-Session-ID", principal.session_id))
    return pairs
