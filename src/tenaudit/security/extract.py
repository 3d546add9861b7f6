"""From header pairs to a security context: pure, linear in its input, and closed when in doubt.

Rules of this file: no I/O, no framework; identity that is missing or ambiguous is refused, never defaulted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from uuid import UUID

from tenaudit.errors import ApiError
from tenaudit.security.context import Actor, SecurityContext, TraceContext
from tenaudit.security.settings import SecuritySettings
from tenaudit.security.trace import read_trace

__all__ = ["IDENTITY_HEADERS", "extract_context"]

IDENTITY_HEADERS = frozenset(
    {"x-tenant-id", "x-roles", "x-user-id", "x-actor-type", "x-session-id", "x-auth-method", "x-trace-id"}
)
_READ = IDENTITY_HEADERS | {"traceparent", "tracestate", "user-agent"}
_TENANT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ACTOR_TYPES = frozenset({"user", "service", "api_key", "system"})
_TOKEN = re.compile(r"[A-Za-z0-9_.:\-]{1,128}\Z")
_ROLES_CHARS = 4096
_USER_AGENT_CHARS = 512
_ANONYMOUS = Actor(None, "anonymous")
_Found = dict[str, str | list[str]]
_DEFAULTS = SecuritySettings()


def extract_context(
    headers: Mapping[str, str] | Iterable[tuple[str, str]], *, settings: SecuritySettings | None = None
) -> SecurityContext:
    """Read the identity that the headers state.

    Args:
        headers: name and value pairs in any case, or a mapping.
        settings: what to believe; the defaults when None.

    Raises:
        ApiError: 400 `missing_tenant_id`, `invalid_tenant_id`, `invalid_user_id` or `ambiguous_header`.

    Example:
        >>> ctx = extract_context({"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-Roles": "cashier"})
        >>> sorted(ctx.roles), ctx.actor.type
        (['Cashier'], 'anonymous')
    """
    settings = settings or _DEFAULTS
    found = _collect(headers.items() if isinstance(headers, Mapping) else headers)
    return SecurityContext(
        _tenant(found),
        _actor(found, settings),
        _roles(found, settings),
        _trace(found, settings),
        _token(found, "x-auth-method") or "header",
        _token(found, "x-session-id"),
        None,
        _user_agent(found.get("user-agent")),
    )


def _collect(pairs: Iterable[tuple[str, str]]) -> _Found:
    """Gather the headers that matter in one pass; a repeated name becomes a list of its values."""
    found: _Found = {}
    for name, value in pairs:
        lowered = name.lower()
        if lowered in _READ:
            before = found.get(lowered)
            if before is None:
                found[lowered] = value
            elif isinstance(before, list):
                before.append(value)
            else:
                found[lowered] = [before, value]
        elif "_" in lowered and lowered.replace("_", "-") in IDENTITY_HEADERS:
            # A server that folds underscores would hand this to the application as the real header.
            raise ApiError(400, "ambiguous_header", "A header is spelled with underscores.", errors=[_field(name)])
    return found


def _field(name: str, message: str = "takes one value, spelled with hyphens") -> dict[str, str]:
    return {"field": name[:64], "message": message}


def _single(found: _Found, name: str, *, comma: bool = False) -> str | None:
    """Return the one value of a header, stripped, or None; more than one is refused.

    A comma counts as a second value unless *comma* is set: WSGI shows two headers as one joined by a comma.
    """
    value = found.get(name)
    if value is None:
        return None
    if isinstance(value, list) or (not comma and "," in value):
        raise ApiError(
            400,
            "ambiguous_header",
            f"{_PRETTY[name]} was sent more than once.",
            errors=[_field(_PRETTY[name])],
        )
    return value.strip(" \t") or None


_PRETTY = {
    "x-tenant-id": "X-Tenant-ID",
    "x-roles": "X-Roles",
    "x-user-id": "X-User-ID",
    "x-actor-type": "X-Actor-Type",
    "x-session-id": "X-Session-ID",
    "x-auth-method": "X-Auth-Method",
}


def _tenant(found: _Found) -> UUID:
    text = _single(found, "x-tenant-id")
    if text is None:
        raise ApiError.missing_tenant_id()
    return _tenant_uuid(text)


@lru_cache(maxsize=4096)
def _tenant_uuid(text: str) -> UUID:
    """Parse a canonical UUID; cached, since a tenant sends many requests and the object is costly to build."""
    if _TENANT.match(text) is None:
        raise ApiError(
            400,
            "invalid_tenant_id",
            "X-Tenant-ID is not a UUID in canonical text form.",
            errors=[_field("X-Tenant-ID", "must be a UUID such as 7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")],
        )
    return UUID(text)


def _actor(found: _Found, settings: SecuritySettings) -> Actor:
    user_id = _single(found, "x-user-id")
    if user_id is None:
        return _ANONYMOUS
    if len(user_id.encode("utf-8", "surrogatepass")) > settings.max_user_id_bytes or _CONTROL.search(user_id):
        raise ApiError(
            400,
            "invalid_user_id",
            "X-User-ID is too long or holds control characters.",
            errors=[_field("X-User-ID", f"at most {settings.max_user_id_bytes} bytes, no control characters")],
        )
    kind = _token(found, "x-actor-type")
    return Actor(user_id, kind if kind in _ACTOR_TYPES else "user")


def _roles(found: _Found, settings: SecuritySettings) -> frozenset[str]:
    text = _single(found, "x-roles", comma=True)
    if text is None:
        return frozenset()
    if len(text) > _ROLES_CHARS:
        raise ApiError.bad_request(
            "X-Roles is too long.", errors=[_field("X-Roles", f"at most {_ROLES_CHARS} characters")]
        )
    names = {name for part in text.split(",") if (name := part.strip(" \t"))}
    known = frozenset(role for name in names if (role := settings.role_of(name)))
    unknown = sum(1 for name in names if settings.role_of(name) is None)
    if unknown:
        settings.on_unknown_roles(unknown)
    return known


def _trace(found: _Found, settings: SecuritySettings) -> TraceContext:
    traceparent, state, fallback = (found.get(name) for name in ("traceparent", "tracestate", "x-trace-id"))
    return read_trace(
        traceparent if isinstance(traceparent, str) else None,
        ",".join(state) if isinstance(state, list) else state,
        fallback if isinstance(fallback, str) else None,
        settings.random_bytes,
    )


def _token(found: _Found, name: str) -> str | None:
    value = _single(found, name)
    return value if value is not None and _TOKEN.match(value) else None


def _user_agent(value: str | list[str] | None) -> str | None:
    if not isinstance(value, str):
        return None
    return _CONTROL.sub(" ", value[:_USER_AGENT_CHARS])
