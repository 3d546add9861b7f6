"""The request line that a signed context is bound to."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SignedTarget"]


class SignedTarget(NamedTuple):
    """Method, authority and raw target of one request.

    Args:
        method: as sent, in upper case.
        authority: the `Host` field.
        target: raw path and query exactly as sent, such as `/a%20b?x=1`.

    Example:
        >>> SignedTarget("GET", "shop.example", "/orders?page=2").target
        '/orders?page=2'
    """

    method: str
    authority: str
    target: str
