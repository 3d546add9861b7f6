"""A verified identity at the gateway, and the headers that carry it inward."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.errors import ApiError
from tenaudit.security.forms import ACTOR_TYPES, IDENTITY_HEADERS, TOKEN, carryable

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.security.context import Actor

__all__ = ["Principal", "strip_identity_headers", "synthesize_headers"]

_FOLDS_TO_HYPHEN = re.compile(r"[\s_]")


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
    here. They fold case with `str.upper`, which makes two letters of `\u00df`: `X-Se\u00dfion-ID` is a spelling too.
    `X-Trace-ID` goes as well: a client continues a trace with `traceparent` or not at all.

    Example:
        >>> strip_identity_headers([("x_roles", "SuperAdmin"), ("Accept", "*/*")])
        [('Accept', '*/*')]
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, value) for name, value in pairs if _folded(name) not in IDENTITY_HEADERS]


def _folded(name: str) -> str:
    return _FOLDS_TO_HYPHEN.sub("-", name.strip().upper().lower())


def synthesize_headers(principal: Principal) -> list[tuple[str, str]]:
    """Return the identity headers of *principal*, each with exactly one value, in a fixed order.

    Raises:
        ApiError: 401 `unauthorized` when a value would not arrive as it is: a comma, a line break, a control
            character, text outside ASCII or an over-long id could name somebody else downstream.
    """
    _check(principal)
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


def _check(principal: Principal) -> None:
    actor, session = principal.actor, principal.session_id
    rules = (
        ("actor id", actor.id is None or carryable(actor.id)),
        ("actor type", actor.id is None or actor.type in ACTOR_TYPES),
        ("roles", all(map(carryable, principal.roles))),
        ("auth method", TOKEN.match(principal.auth_method) is not None),
        ("session id", session is None or TOKEN.match(session) is not None),
    )
    for name, holds in rules:
        if not holds:
            # The value itself stays out of the message: it is a stranger's text.
            raise ApiError.unauthorized(f"The credential's {name} cannot be carried in a header.")
