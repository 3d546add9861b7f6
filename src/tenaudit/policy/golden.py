"""Golden cells: the answers that somebody wrote down, checked against the answers that a matrix gives.

Rules of this file: pure, save `load_golden`, which reads one file.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from tenaudit.policy.matrix import PolicyMatrix

__all__ = ["GoldenCell", "GoldenFault", "check_golden", "golden_cells", "golden_toml", "load_golden"]

_KEYS = ("role", "capability", "expect")
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*cell[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GoldenCell:
    """One expected answer.

    Args:
        role: who asks, alone.
        capability: what for.
        allow: the answer that is expected.
        place: where it was written, `FILE:LINE`; empty when nowhere.
    """

    role: str
    capability: str
    allow: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class GoldenFault:
    """One thing that is wrong between golden cells and a matrix.

    Args:
        kind: `mismatch`, `unknown_role`, `unknown_capability`, `repeated`, or `missing` from the golden cells.
        role: the role of the cell.
        capability: its capability.
        detail: the fault in words.
        place: where the golden cell was written.
    """

    kind: str
    role: str
    capability: str
    detail: str
    place: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.kind}: {self.role} {self.capability}: {self.detail}"

    def to_json(self) -> dict[str, str]:
        """Return the fault as JSON values."""
        return {name: getattr(self, name) for name in ("kind", "role", "capability", "detail", "place")}


def golden_cells(matrix: PolicyMatrix) -> tuple[GoldenCell, ...]:
    """Return every cell of *matrix*, as it answers today."""
    return tuple(
        GoldenCell(role, name, matrix.allows((role,), name)) for role in matrix.roles for name in matrix.capabilities
    )


def golden_toml(cells: Iterable[GoldenCell]) -> str:
    """Return *cells* as the text of a golden file."""
    # The string syntax of JSON is that of a TOML basic string (TOML 1.0, section String).
    return "\n".join(
        f"[[cell]]\nrole = {json.dumps(cell.role)}\ncapability = {json.dumps(cell.capability)}\n"
        f'expect = "{_word(cell.allow)}"\n'
        for cell in cells
    )


def check_golden(
    matrix: PolicyMatrix, cells: Iterable[GoldenCell], *, complete: bool = False
) -> tuple[GoldenFault, ...]:
    """Return what is wrong, nothing when *matrix* answers as *cells* say.

    A cell whose role or capability the matrix does not know is a fault even when it expects a denial: a slip of the
    pen would pass for ever and check nothing.

    Args:
        matrix: who grants what.
        cells: the expected answers, each role and capability at most once.
        complete: also name every cell of the matrix that has no golden cell.

    Example:
        >>> from tenaudit.policy import PolicyMatrix
        >>> matrix = PolicyMatrix.from_mapping({"Editor": {"write"}, "Reader": set()})
        >>> print(*check_golden(matrix, [GoldenCell("Reader", "write", True)]))
        mismatch: Reader write: expected allow, the matrix says deny
    """
    roles, names = frozenset(matrix.roles), frozenset(matrix.capabilities)
    faults: list[GoldenFault] = []
    seen: set[tuple[str, str]] = set()
    for cell in cells:
        fault = _fault(matrix, cell, roles, names, seen)
        if fault is not None:
            faults.append(GoldenFault(fault[0], cell.role, cell.capability, fault[1], cell.place))
        seen.add((cell.role, cell.capability))
    if complete:
        faults += [
            GoldenFault("missing", cell.role, cell.capability, f"no golden cell; the matrix says {_word(cell.allow)}")
            for cell in golden_cells(matrix)
            if (cell.role, cell.capability) not in seen
        ]
    return tuple(faults)


def _fault(
    matrix: PolicyMatrix, cell: GoldenCell, roles: frozenset[str], names: frozenset[str], seen: set[tuple[str, str]]
) -> tuple[str, str] | None:
    if (cell.role, cell.capability) in seen:
        return "repeated", "this cell has been given before"
    if cell.role not in roles:
        return "unknown_role", "the matrix has no such role"
    if cell.capability not in names:
        return "unknown_capability", "no role of the matrix grants it"
    allowed = matrix.allows((cell.role,), cell.capability)
    if allowed is not cell.allow:
        return "mismatch", f"expected {_word(cell.allow)}, the matrix says {_word(allowed)}"
    return None


def load_golden(path: str | PathLike[str]) -> tuple[GoldenCell, ...]:
    """Read golden cells: TOML with `[[cell]]` tables, or, when the name ends in `.json`, `{"cell": [...]}`.

    Each cell has `role`, `capability` and `expect`, which is `allow` or `deny`.

    Raises:
        ConfigurationError: the file cannot be read or is out of form; the message names the file and the cell.
    """
    name = str(path)
    is_json = name.endswith(".json")
    try:
        text = Path(path).read_text(encoding="utf-8")
        data: Any = json.loads(text) if is_json else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
    entries = data.get("cell") if isinstance(data, dict) and set(data) == {"cell"} else None
    if not isinstance(entries, list):
        raise ConfigurationError(f"{name}: must have a list of cells named cell, and nothing else")
    lines = [] if is_json else [text.count("\n", 0, header.start()) + 1 for header in _HEADER.finditer(text)]
    if len(lines) != len(entries):
        lines = [0] * len(entries)  # written inline: the cell is then named by its number
    return tuple(
        _cell(entry, f"{name}:{line}" if line else name, number)
        for number, (entry, line) in enumerate(zip(entries, lines, strict=True), 1)
    )


def _cell(entry: Any, place: str, number: int) -> GoldenCell:
    if not isinstance(entry, dict) or set(entry) != set(_KEYS) or not all(isinstance(entry[key], str) for key in _KEYS):
        raise ConfigurationError(f"{place}: cell {number} must have the strings role, capability and expect, no more")
    if entry["expect"] not in ("allow", "deny"):
        raise ConfigurationError(f'{place}: cell {number}: expect must be "allow" or "deny", not {entry["expect"]!r}')
    return GoldenCell(entry["role"], entry["capability"], entry["expect"] == "allow", place)


def _word(allowed: bool) -> str:  # noqa: FBT001 - one argument
    return "allow" if allowed else "deny"
