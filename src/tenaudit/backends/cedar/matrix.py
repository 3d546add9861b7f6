"""A matrix written as Cedar policies: a start for rules that need more than roles.

Rules of this file: pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["matrix_to_cedar"]

_SCHEMA = """\
namespace Tenaudit {{
  entity Role;
  entity Tenant;
  entity Actor in [Role] {{ tenant: String, type: String }};
  type Request = {{
    tenant: String,
    auth_method: String,
    client_ip?: ipaddr,
    session_id?: String,
    user_agent?: String,
  }};
{actions}}}
"""
_ACTION = "  action {} appliesTo {{ principal: [Actor], resource: [Tenant], context: Request }};\n"
_POLICY = """\
@id({role})
permit (
  principal in Tenaudit::Role::{role},
  action in [{actions}],
  resource
);
"""


def matrix_to_cedar(matrix: PolicyMatrix) -> tuple[str, str]:
    """Return policies and schema that answer as *matrix* does: one policy for each role that grants something.

    >>> from tenaudit.policy import PolicyMatrix
    >>> policies, schema = matrix_to_cedar(PolicyMatrix.from_mapping({"Cashier": {"refund"}}))
    >>> print(policies, end="")
    @id("Cashier")
    permit (
      principal in Tenaudit::Role::"Cashier",
      action in [Tenaudit::Action::"refund"],
      resource
    );
    """
    policies = [
        _POLICY.format(role=_quoted(role), actions=_actions(names)) for role, names in matrix.grants.items() if names
    ]
    actions = "".join(_ACTION.format(_quoted(name)) for name in matrix.capabilities)
    return "\n".join(policies), _SCHEMA.format(actions=actions)


def _actions(names: Iterable[str]) -> str:
    return ", ".join(f"Tenaudit::Action::{_quoted(name)}" for name in sorted(names))


def _quoted(name: str) -> str:
    """Return *name* as a Cedar string: what is not plain is written by its code point, so no name ends the string."""
    plain = (
        char if char.isascii() and (char.isalnum() or char in " _.:-") else f"\\u{{{ord(char):x}}}" for char in name
    )
    return f'"{"".join(plain)}"'
