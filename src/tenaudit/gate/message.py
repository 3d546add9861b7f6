"""A request and its end, without a framework: what adapters hand to the gate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tenaudit.security import SignedTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.errors import ApiError
    from tenaudit.policy import Decision
    from tenaudit.ratelimit import RateDecision
    from tenaudit.security import SecurityContext, TraceContext

__all__ = ["Admission", "Identity", "RequestView", "RouteRule", "make_admission", "make_identity", "request_target"]

# RFC 9112 section 3.2.2: a request line may carry a whole URL, of which this is the part before the path.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)")


class RequestView(NamedTuple):
    """What the gate reads of a request.

    Args:
        headers: name and value pairs as they came, repeated names included.
        client_ip: the peer's address as the server knows it.
        target: what a signed context is bound to; needed where `Gate.needs_target`.
    """

    headers: Sequence[tuple[str, str]]
    client_ip: str | None = None
    target: SignedTarget | None = None


class Identity(NamedTuple):
    """Who asks, or why nobody does; a public route is served either way.

    Args:
        context: the verified context, None when it was refused.
        refusal: the error of a route that needs an identity.
        trace: the trace of the request, known in any case.
        headers: the headers as they go inward: at an edge gate stripped and synthesized.
    """

    context: SecurityContext | None
    refusal: ApiError | None
    trace: TraceContext
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RouteRule:
    """What a route declares: a capability, or that it is public.

    Args:
        capability: what the caller must hold; None when an identity is enough.
        is_public: served without an identity.
    """

    capability: str | None = None
    is_public: bool = False


class Admission(NamedTuple):
    """A request that may reach its handler, with everything that was decided on the way.

    Args:
        identity: who asks.
        rate: what the limiter said, None where no limit applies.
        decision: what the policy said, None where no capability is needed.
    """

    identity: Identity
    rate: RateDecision | None
    decision: Decision | None


# Straight from the type, at half the price of the generated constructors: every request makes one of each.
make_identity: Callable[
    [tuple[SecurityContext | None, ApiError | None, TraceContext, Sequence[tuple[str, str]]]], Identity
] = partial(tuple.__new__, Identity)
make_admission: Callable[[tuple[Identity, RateDecision | None, Decision | None]], Admission] = partial(
    tuple.__new__, Admission
)


def request_target(method: str, host: str, target: str) -> SignedTarget:
    """Return what a signature is bound to, of a request target that proxies may send as a whole URL.

    Args:
        method: as sent.
        host: the `Host` field, empty without one.
        target: the request target as sent.

    A URL that names another authority than `Host` does gives both: servers disagree on which of them counts
    (RFC 9112 section 3.2.2), and nothing was signed for two.

    Example:
        >>> request_target("GET", "shop.example", "http://shop.example/a%20b?x=1").target
        '/a%20b?x=1'
    """
    url = None if target.startswith("/") else _ABSOLUTE.match(target)
    if url is None:
        return SignedTarget(method, host, target)
    authority = host if url[1].lower() == host.lower() else f"{host},{url[1]}"
    return SignedTarget(method, authority, target[url.end() :])
