"""Plain records of API keys for tests, the same for the same number."""

from __future__ import annotations

from typing import Any

from tenaudit.security import ApiKeyRecord, ApiKeyRotation
from tenaudit.testing.conformance.events import TENANT

__all__ = ["NOW", "a_key_record", "a_key_rotation"]

# Unix seconds with a fraction, since whole ones would also survive a column of integers.
NOW = 1_800_000_000.25


def a_key_record(number: int = 0, **fields: Any) -> ApiKeyRecord:
    """Return record *number*, whose prefix and hash are made of the number; *fields* are what differs.

    Example:
        >>> a_key_record(1, name="tills").prefix
        'ta_000000000001'
    """
    usual: dict[str, Any] = {
        "prefix": f"ta_{number:012x}",
        "secret_hash": bytes([number % 256]) * 32,
        "tenant_id": TENANT,
        "roles": frozenset({"Cashier", "Inventory"}),
        "created_at": NOW,
    }
    return ApiKeyRecord(**usual | fields)


def a_key_rotation(number: int, **fields: Any) -> ApiKeyRotation:
    """Return a rotation, ten seconds after the records were made, whose new key is number *number*.

    Example:
        >>> a_key_rotation(2, overlap=5.0).prefix
        'ta_000000000002'
    """
    return ApiKeyRotation(f"ta_{number:012x}", bytes([number % 256]) * 32, NOW + 10, **fields)
