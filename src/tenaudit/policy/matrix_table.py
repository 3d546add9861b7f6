"""A matrix as a table: for people in Markdown, for programs in JSON.

Rules of this file: pure. The published table of the reference is this output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.policy.vocabulary import Capability

if TYPE_CHECKING:
    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["matrix_json", "matrix_markdown"]

_PLATFORM_ORDER = {str(capability): place for place, capability in enumerate(Capability)}


def matrix_markdown(matrix: PolicyMatrix) -> str:
    """Return the table: one row a capability, one column a role, the denial name last.

    The platform's capabilities come first, in their own order, then all others by name.

    >>> from tenaudit.policy import PolicyMatrix
    >>> print(matrix_markdown(PolicyMatrix.from_mapping({"Editor": ["write"], "Reader": []})))
    | capability | Editor | Reader | denial name |
    | --- | --- | --- | --- |
    | `write` | allow | deny | `write` |
    """
    rows = [["capability", *matrix.roles, "denial name"], ["---"] * (len(matrix.roles) + 2)]
    rows += [
        [
            f"`{name}`",
            *("allow" if matrix.allows((role,), name) else "deny" for role in matrix.roles),
            f"`{matrix.denial_name(name)}`",
        ]
        for name in _ordered(matrix)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def matrix_json(matrix: PolicyMatrix) -> dict[str, Any]:
    """Return `{"content_hash", "roles", "capabilities": [{"name", "denial_name", "granted_by"}]}`, in that order."""
    return {
        "content_hash": matrix.content_hash,
        "roles": list(matrix.roles),
        "capabilities": [
            {
                "name": name,
                "denial_name": matrix.denial_name(name),
                "granted_by": [role for role in matrix.roles if matrix.allows((role,), name)],
            }
            for name in _ordered(matrix)
        ],
    }


def _ordered(matrix: PolicyMatrix) -> list[str]:
    return sorted(matrix.capabilities, key=lambda name: (_PLATFORM_ORDER.get(name, len(_PLATFORM_ORDER)), name))
