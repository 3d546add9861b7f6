"""What the tests of the Cedar engine share: a shop's schema and policies, and callers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["OTHER", "POLICIES", "SCHEMA", "TENANT", "caller", "invoice"]

TENANT, OTHER = UUID("0e8f0a52-6a4d-4f0c-9b1e-3f1f6e2a4b6c"), UUID("0e8f0a52-6a4d-4f0c-9b1e-3f1f6e2a4b6d")

SCHEMA = """\
namespace Tenaudit {
  entity Role;
  entity Tenant;
  entity Actor in [Role] { tenant: String, type: String };
  entity Invoice {
    tenant: String, total: Long, owner?: Actor, paid?: Bool, lines?: Set<Long>, note?: String,
  };
  type Request = {
    tenant: String, auth_method: String, client_ip?: ipaddr, session_id?: String, user_agent?: String,
  };
  action money;
  action "refund", "invoice_view" in [money] appliesTo { principal: [Actor], resource: [Invoice], context: Request };
  action "audit_view" appliesTo { principal: [Actor], resource: [Tenant], context: Request };
}
"""

POLICIES = """\
// Small sums at the till; a ; in a comment ends nothing.
@id("till")
permit (principal in Tenaudit::Role::"Cashier", action == Tenaudit::Action::"refund", resource)
when { resource.total <= 5000 };

@id("own")
permit (principal, action == Tenaudit::Action::"invoice_view", resource)
when { resource has owner && resource.owner == principal };
permit (principal in Tenaudit::Role::"Manager", action in Tenaudit::Action::"money", resource);
@id("paid; done")
forbid (principal, action == Tenaudit::Action::"refund", resource) when { resource has paid && resource.paid };
@id("inside")
permit (principal in Tenaudit::Role::"Support", action == Tenaudit::Action::"audit_view", resource)
when { context has client_ip && context.client_ip.isInRange(ip("10.0.0.0/8")) };
@id("overflow")
forbid (principal, action == Tenaudit::Action::"refund", resource) when { resource.total * 1000 > 9000000000 };
"""


def caller(*roles: str, actor: str | None = "u-1", tenant: UUID = TENANT, **more: Any) -> SecurityContext:
    trace = TraceContext("0" * 31 + "1", None, False)
    return SecurityContext(tenant, Actor(actor, "user" if actor else "anonymous"), frozenset(roles), trace, **more)


def invoice(**attributes: Any) -> dict[str, Any]:
    return {"type": "Invoice", "id": "i-1", "attributes": {"tenant": str(TENANT), "total": 100, **attributes}}
