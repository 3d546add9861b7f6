"""The platform's capabilities, and the name each one has in a denial."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit.security.roles import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DENIAL_NAMES", "Capability", "Role"]


class Capability(StrEnum):
    """What a route needs; a service may bring its own names instead.

    Example:
        >>> Capability.PAYMENT_PROCESS == "payment_process"
        True
    """

    INVENTORY_VIEW = "inventory_view"
    CUSTOMER_VIEW = "customer_view"
    CUSTOMER_WRITE = "customer_write"
    PAYMENT_PROCESS = "payment_process"
    LOYALTY_VIEW = "loyalty_view"
    GDPR_MANAGE = "gdpr_manage"
    AUDIT_VIEW = "audit_view"
    AUDIT_VIEW_UNREDACTED = "audit_view_unredacted"


# A denial is named after the capability, save where clients already know another name.
DENIAL_NAMES: Mapping[str, str] = MappingProxyType({Capability.PAYMENT_PROCESS: "payment_access"})
