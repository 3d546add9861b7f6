"""Which header values an error may bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenaudit.errors import Reply

__all__ = ["is_sendable", "sendable"]


def is_sendable(value: str) -> bool:
    r"""Tell whether *value* is visible ASCII, spaces and tabs (RFC 9110 section 5.5).

    Other characters would end the line, fail to encode, or arrive as other bytes from each framework.

    Example:
        >>> is_sendable("a b"), is_sendable("a\r\nSet-Cookie: b"), is_sendable("\u20ac")
        (True, False, False)
    """
    return value.isascii() and value.replace("\t", " ").isprintable()


def sendable(reply: Reply) -> Reply:
    """Return *reply* without headers that cannot be sent: the answer to an error must not be another error."""
    return reply._replace(headers=tuple(pair for pair in reply.headers if all(map(is_sendable, pair))))
