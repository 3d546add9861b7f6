"""What changes between two matrices: both are finite, so every cell is compared.

Rules of this file: pure; two matrices in, a frozen value out, in the order of roles and names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["CellChange", "DenialNameChange", "MatrixDiff", "matrix_diff"]


@dataclass(frozen=True, slots=True)
class CellChange:
    """One role and capability whose answer changes; a name that a matrix does not have is denied there.

    Args:
        role: who asks.
        capability: what for.
        before: whether the old matrix allows it.
        after: whether the new one does.
    """

    role: str
    capability: str
    before: bool
    after: bool

    def __str__(self) -> str:
        return f"{self.role} {self.capability}: {_word(self.before)} -> {_word(self.after)}"


@dataclass(frozen=True, slots=True)
class DenialNameChange:
    """A capability whose line in `[denial_names]` comes, goes or changes; None is no line.

    Args:
        capability: the capability.
        before: the name in the old matrix.
        after: the name in the new one.
    """

    capability: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"denial name of {self.capability}: {self.before or 'its own'} -> {self.after or 'its own'}"


@dataclass(frozen=True, slots=True)
class MatrixDiff:
    """What changes from one matrix to another; false when nothing does.

    Args:
        cells: every (role, capability) whose answer changes, sorted.
        roles_added: roles that only the new matrix has.
        roles_removed: roles that only the old one has.
        capabilities_added: capabilities that only the new matrix grants.
        capabilities_removed: capabilities that only the old one grants.
        denial_names: every changed line of `[denial_names]`.

    Example:
        >>> from tenaudit.policy import PolicyMatrix
        >>> old = PolicyMatrix.from_mapping({"Editor": {"write"}})
        >>> new = PolicyMatrix.from_mapping({"Editor": {"write"}, "Reader": {"read"}})
        >>> for line in PolicyMatrix.diff(old, new).lines():
        ...     print(line)
        Reader read: deny -> allow
        role Reader: added
        capability read: added
    """

    cells: tuple[CellChange, ...] = ()
    roles_added: tuple[str, ...] = ()
    roles_removed: tuple[str, ...] = ()
    capabilities_added: tuple[str, ...] = ()
    capabilities_removed: tuple[str, ...] = ()
    denial_names: tuple[DenialNameChange, ...] = ()

    def __bool__(self) -> bool:
        return self != _NOTHING

    def lines(self) -> list[str]:
        """Return one line a change, the changed answers first."""
        return [
            *map(str, self.cells),
            *(f"role {name}: added" for name in self.roles_added),
            *(f"role {name}: removed" for name in self.roles_removed),
            *(f"capability {name}: added" for name in self.capabilities_added),
            *(f"capability {name}: removed" for name in self.capabilities_removed),
            *map(str, self.denial_names),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the diff as JSON values, answers as `allow` and `deny`."""
        return {
            "cells": [
                {
                    "role": cell.role,
                    "capability": cell.capability,
                    "before": _word(cell.before),
                    "after": _word(cell.after),
                }
                for cell in self.cells
            ],
            "roles_added": list(self.roles_added),
            "roles_removed": list(self.roles_removed),
            "capabilities_added": list(self.capabilities_added),
            "capabilities_removed": list(self.capabilities_removed),
            "denial_names": [
                {"capability": each.capability, "before": each.before, "after": each.after}
                for each in self.denial_names
            ],
        }


_NOTHING = MatrixDiff()


def matrix_diff(old: PolicyMatrix, new: PolicyMatrix) -> MatrixDiff:
    """Compare two matrices; see `PolicyMatrix.diff`."""
    roles, names = {*old.roles, *new.roles}, {*old.capabilities, *new.capabilities}
    answers = (
        CellChange(role, name, old.allows((role,), name), new.allows((role,), name))
        for role in sorted(roles)
        for name in sorted(names)
    )
    shown = (
        DenialNameChange(name, old.denial_names.get(name), new.denial_names.get(name))
        for name in sorted({*old.denial_names, *new.denial_names})
    )
    return MatrixDiff(
        tuple(cell for cell in answers if cell.before is not cell.after),
        _only(new.roles, old.roles),
        _only(old.roles, new.roles),
        _only(new.capabilities, old.capabilities),
        _only(old.capabilities, new.capabilities),
        tuple(each for each in shown if each.before != each.after),
    )


def _only(these: tuple[str, ...], those: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*these} - {*those}))


def _word(allowed: bool) -> str:  # noqa: FBT001 - one argument
    return "allow" if allowed else "deny"
