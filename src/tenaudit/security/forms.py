"""The forms that identity values have on the wire, in one place, so that what is written can also be read back."""

from __future__ import annotations

import re

__all__ = ["ACTOR_TYPES", "CANONICAL_UUID", "CONTROL", "IDENTITY_HEADERS", "TOKEN", "carryable"]

# Every header that states who asks. The trace is not among them, save for the bare id, which only a gateway sets.
IDENTITY_HEADERS = frozenset(
    {"x-tenant-id", "x-roles", "x-user-id", "x-actor-type", "x-session-id", "x-auth-method", "x-trace-id"}
)

# RFC 9562 section 4: 8-4-4-4-12 hex digits, upper case is read too. No braces, no urn:uuid:.
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)
# Lone surrogates stand for bytes that are no UTF-8 (aiohttp decodes so); no database and no JSON takes them.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Session ids and methods: visible ASCII, so base64 fits; no comma, which would read as a second value.
TOKEN = re.compile(r"[!-+\--~]{1,128}\Z")
ACTOR_TYPES = frozenset({"user", "service", "api_key", "system"})
# Printable ASCII without a comma and with no space at either end: servers disagree on how to decode the rest.
_CARRYABLE = re.compile(r"[!-+\--~](?:[ -+\--~]*[!-+\--~])?\Z")


def carryable(value: str, limit: int = 256) -> bool:
    r"""Tell whether *value* arrives unchanged, as one value, in a header of any server; *limit* is in bytes.

    Example:
        >>> carryable("auth0|5f7c"), carryable("a,b"), carryable("a\r\nX-Roles: Admin")
        (True, False, False)
    """
    return len(value) <= limit and _CARRYABLE.match(value) is not None
