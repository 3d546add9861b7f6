"""The platform's roles: what an identity provider may say of an actor."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Role"]


class Role(StrEnum):
    """A role name as it travels in `X-Roles`; matching ignores case.

    Example:
        >>> Role.CASHIER.value
        'Cashier'
    """

    SUPER_ADMIN = "SuperAdmin"
    ADMIN = "Admin"
    MANAGER = "Manager"
    INVENTORY = "Inventory"
    CASHIER = "Cashier"
    SUPPORT = "Support"
