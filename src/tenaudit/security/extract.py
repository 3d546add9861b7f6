"""From header pairs to a security context: pure, linear in its input, and closed when in doubt.

Rules of this file: no I/O, no framework; identity that is missing or ambiguous is refused, never defaulted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Literal
from uuid import UUID

from tenaudit.errors import ApiError
from tenaudit.security.context import Actor, SecurityContext, TraceContext
from tenaudit.security.forms import ACTOR_TYPES, CANONICAL_UUID, CONTROL, IDENTITY_HEADERS, TOKEN
from tenaudit.security.settings import SecuritySettings
from tenaudit.security.signing import SignedTarget, UntrustedContext
from tenaudit.security.trace import parse_traceparent, read_trace

__all__ = [
    "HEADERS_READ",
    "IDENTIFYING",
    "IDENTITY_HEADERS",
    "Found",
    "Header",
    "context_in_trace",
    "context_of",
    "extract_context",
    "extract_trace",
    "twin",
]

_log = logging.getLogger("tenaudit.security")

HEADERS_READ = IDENTITY_HEADERS | {"traceparent", "tracestate", "user-agent", "signature", "signature-input"}
# What the memory goes by. The user agent is no identity, and yet the same with each request of one client.
IDENTIFYING = ("x-tenant-id", "x-roles", "x-user-id", "x-actor-type", "x-auth-method", "x-session-id", "user-agent")
_TRACE_HEADERS = frozenset({"traceparent", "tracestate", "x-trace-id"})
_USER_AGENT_CHARS = 512


class Header(Enum):
    """Stands for the values of a header that came more than once; no text equals it, in a key neither."""

    REPEATED = 0


Found = dict[str, str | Literal[Header.REPEATED]]
_ANONYMOUS = Actor(None, "anonymous")
_REMEMBERED = 4096
_REMEMBERED_CHARS = 1024
Identity = tuple[UUID, Actor, frozenset[str], str, str | None, str | None, int]
_DEFAULTS = SecuritySettings()


def extract_context(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    settings: SecuritySettings | None = None,
    client_ip: str | None = None,
    request: SignedTarget | None = None,
) -> SecurityContext:
    """Read the identity that the headers state.

    Args:
        headers: name and value pairs in any case, or a mapping.
        settings: what to believe; the defaults when None.
        client_ip: the peer's address as the server knows it; no header is believed for it.
        request: the request line that a signed context is bound to; needed with `trust="signed"` and only there.

    Raises:
        ApiError: 401 `untrusted_context` with `trust="signed"`; 400 `missing_tenant_id`, `invalid_tenant_id`,
            `invalid_user_id` or `ambiguous_header`.

    Example:
        >>> ctx = extract_context({"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-Roles": "cashier"})
        >>> sorted(ctx.roles), ctx.actor.type
        (['Cashier'], 'anonymous')
    """
    if settings is None:
        settings = _DEFAULTS
    if settings.verifier is not None:
        if type(headers) is not list:
            headers = list(headers.items() if isinstance(headers, Mapping) else headers)
        _check_trust(headers, settings, request)
    if type(headers) is list:  # told apart first: asking an abstract class costs as much as reading two headers
        found = _collect(headers)
    else:
        found = _collect(headers.items() if isinstance(headers, Mapping) else headers)
    return context_of(found, settings, client_ip)


def context_of(
    found: Found, settings: SecuritySettings, client_ip: str | None, key: tuple[object, ...] | None = None
) -> SecurityContext:
    """Return the context of gathered headers; *key* is what the memory goes by, their texts when None.

    Raises:
        ApiError: 400, as `extract_context`.
    """
    if key is None:
        key = (*map(found.get, IDENTIFYING),)
    identity = settings.memo.get(key)
    if identity is None:
        identity = _remember(settings, key, _identify(found, settings))
    return context_in_trace(identity, _trace(found, settings), settings, client_ip)


def context_in_trace(
    identity: Identity, trace: TraceContext, settings: SecuritySettings, client_ip: str | None
) -> SecurityContext:
    """Return the context of an identity that was read, or remembered."""
    tenant_id, actor, roles, auth_method, session_id, user_agent, unknown = identity
    if unknown:
        settings.on_unknown_roles(unknown)
    return SecurityContext(tenant_id, actor, roles, trace, auth_method, session_id, client_ip, user_agent)


def _check_trust(headers: list[tuple[str, str]], settings: SecuritySettings, request: SignedTarget | None) -> None:
    """Refuse a context that is not signed as it must be; the client learns that, the log and the metric learn why."""
    assert settings.verifier is not None
    try:
        settings.verifier.verify(headers, request)
    except UntrustedContext as error:
        settings.on_untrusted(error.reason)
        parent = next((value for name, value in headers if name.lower() == "traceparent"), "")
        trace = parse_traceparent(parent.strip(" \t"))
        _log.warning(
            "a context is not trusted: %s",
            error.reason,
            extra={
                "action": "untrusted_context",
                "reason": error.reason,
                "key_id": error.key_id,
                "trace_id": None if trace is None else trace.trace_id,
            },
        )
        raise ApiError.unauthorized(
            "The identity of this request is not trusted.", code="untrusted_context", challenge="Signature"
        ) from None


def _identify(found: Found, settings: SecuritySettings) -> Identity:
    tenant_id, actor = _tenant(found), _actor(found, settings)
    roles, unknown = _roles(found, settings)
    auth_method, session_id = _token(found, "x-auth-method") or "header", _token(found, "x-session-id")
    return tenant_id, actor, roles, auth_method, session_id, _user_agent(found.get("user-agent")), unknown


def _remember(settings: SecuritySettings, key: tuple[object, ...], identity: Identity) -> Identity:
    """Keep what these header values mean: callers come again, and the same text always means the same.

    Only short texts are kept, and everything is forgotten when the memory is full, so strangers cannot fill it.
    """
    if sum(len(value) for value in key if isinstance(value, str | bytes)) <= _REMEMBERED_CHARS:
        if len(settings.memo) >= _REMEMBERED:
            settings.memo.clear()
        settings.memo[key] = identity
    return identity


def extract_trace(headers: Iterable[tuple[str, str]], *, settings: SecuritySettings | None = None) -> TraceContext:
    """Read the trace alone, for a request whose identity was refused: its answer names a trace too."""
    return _trace(_collect(pair for pair in headers if pair[0].lower() in _TRACE_HEADERS), settings or _DEFAULTS)


def _collect(pairs: Iterable[tuple[str, str]]) -> Found:
    """Gather the headers that matter in one pass; of a repeated one only that is kept, save for tracestate."""
    found: Found = {}
    states: list[str] = []
    for name, value in pairs:
        lowered = name.lower()
        if lowered in HEADERS_READ:
            if lowered == "tracestate":
                states.append(value)
            else:
                found[lowered] = Header.REPEATED if lowered in found else value
        elif "_" in lowered and lowered.replace("_", "-") in IDENTITY_HEADERS:
            raise twin(lowered)
    if states:
        found["tracestate"] = ",".join(states)
    return found


def twin(name: str) -> ApiError:
    """Return the refusal of a name that a server which folds underscores would hand on as the real header."""
    return ApiError(400, "ambiguous_header", "A header is spelled with underscores.", errors=[_field(name)])


def _field(name: str, message: str = "takes one value, spelled with hyphens") -> dict[str, str]:
    return {"field": name[:64], "message": message}


def _single(found: Found, name: str, *, comma: bool = False) -> str | None:
    """Return the one value of a header, stripped, or None; more than one is refused.

    A comma counts as a second value unless *comma* is set: WSGI shows two headers as one joined by a comma.
    """
    value = found.get(name)
    if value is None:
        return None
    if value is Header.REPEATED or (not comma and "," in value):
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


def _tenant(found: Found) -> UUID:
    text = _single(found, "x-tenant-id")
    if text is None:
        raise ApiError.missing_tenant_id()
    return _tenant_uuid(text)


def _tenant_uuid(text: str) -> UUID:
    if CANONICAL_UUID.match(text) is None:
        raise ApiError(
            400,
            "invalid_tenant_id",
            "X-Tenant-ID is not a UUID in canonical text form.",
            errors=[_field("X-Tenant-ID", "must be a UUID such as 7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")],
        )
    return UUID(text)


def _actor(found: Found, settings: SecuritySettings) -> Actor:
    user_id = _single(found, "x-user-id")
    kind = _token(found, "x-actor-type")
    if user_id is None:
        return _ANONYMOUS
    if len(user_id.encode("utf-8", "surrogatepass")) > settings.max_user_id_bytes or CONTROL.search(user_id):
        raise ApiError(
            400,
            "invalid_user_id",
            "X-User-ID is too long or holds control characters.",
            errors=[_field("X-User-ID", f"at most {settings.max_user_id_bytes} bytes, no control characters")],
        )
    return Actor(user_id, kind if kind in ACTOR_TYPES else "user")


def _roles(found: Found, settings: SecuritySettings) -> tuple[frozenset[str], int]:
    """Return the known roles, and how many names no vocabulary knows."""
    text = _single(found, "x-roles", comma=True)
    known: set[str] = set()
    unknown: set[str] = set()
    for part in text.split(",") if text else ():
        name = part.strip(" \t")
        role = settings.role_of(name)
        if role is not None:
            known.add(role)
        elif name:
            unknown.add(name)
    return frozenset(known), len(unknown)


def _trace(found: Found, settings: SecuritySettings) -> TraceContext:
    parent = found.get("traceparent")
    if parent is not None and parent is not Header.REPEATED and "tracestate" not in found:
        continued = parse_traceparent(parent.strip(" \t"))
        if continued is not None:
            return continued
    return read_trace(
        _only(parent), _only(found.get("tracestate")), _only(found.get("x-trace-id")), settings.random_bytes
    )


def _only(value: str | Literal[Header.REPEATED] | None) -> str | None:
    """Return the one value without the optional whitespace around it (RFC 9110 section 5.5), None of several."""
    return None if value is None or value is Header.REPEATED else value.strip(" \t")


def _token(found: Found, name: str) -> str | None:
    value = _single(found, name)
    return value if value is not None and TOKEN.match(value) else None


def _user_agent(value: str | Literal[Header.REPEATED] | None) -> str | None:
    if value is None or value is Header.REPEATED:
        return None
    return (
        value
        if len(value) <= _USER_AGENT_CHARS and value.isprintable()
        else CONTROL.sub(" ", value[:_USER_AGENT_CHARS])
    )
