"""The rules that a role and capability matrix must keep, each broken one with the place of the name that breaks it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Problem", "problems"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}\Z")


class Problem(NamedTuple):
    """One broken rule: the way to the name in a policy file, what is wrong, and which mention of it."""

    path: tuple[str, ...]
    why: str
    nth: int = 1


def problems(
    cells: Mapping[str, list[str]], listed: list[str] | None, denial_names: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield each broken rule, misspelt names first.

    Args:
        cells: role to the capabilities it grants, as they were listed.
        listed: the whole vocabulary, or None when the grants are the vocabulary.
        denial_names: capability to the name a client sees.
    """
    yield from _misspelt(cells, listed or [], denial_names)
    yield from _repetitions(cells, listed or [])
    yield from _unknown(cells, listed, denial_names)


def _misspelt(cells: Mapping[str, list[str]], listed: list[str], denial_names: Mapping[str, Any]) -> Iterator[Problem]:
    paths: list[tuple[str, ...]] = [("roles", role) for role in cells]
    paths += [("roles", role, name) for role, names in cells.items() for name in names]
    paths += [("capabilities", name) for name in listed]
    for path in paths:
        if _NAME.match(path[-1]) is None:
            yield Problem(path, "is not a name: letters, digits, _ . : -, at most 64")
    for name, shown in denial_names.items():
        if not isinstance(shown, str) or _NAME.match(shown) is None:
            yield Problem(("denial_names", name), "has a denial name that is not a name")


def _repetitions(cells: Mapping[str, list[str]], listed: list[str]) -> Iterator[Problem]:
    for name in _repeated(listed):
        yield Problem(("capabilities", name), "is listed twice", 2)
    for role, names in cells.items():
        for name in _repeated(names):
            yield Problem(("roles", role, name), f"is listed twice for {role}", 2)
    first: dict[str, str] = {}
    for role in cells:
        # Roles in X-Roles are matched without case, so only one of the two could ever be held.
        before = first.setdefault(role.lower(), role)
        if before != role:
            yield Problem(("roles", role), f"differs from role {before!r} by case alone")


def _unknown(
    cells: Mapping[str, list[str]], listed: list[str] | None, denial_names: Mapping[str, Any]
) -> Iterator[Problem]:
    granted = {name for names in cells.values() for name in names}
    known = None if listed is None else frozenset(listed)
    for role, names in cells.items():
        for name in names:
            if known is not None and name not in known:
                yield Problem(("roles", role, name), f"is granted to {role} and is no known capability")
    for name in listed or ():
        if name not in granted:
            yield Problem(("capabilities", name), "is a capability that no role grants")
    for name in denial_names:
        if name not in granted:
            yield Problem(("denial_names", name), "has a denial name and is no known capability")


def _repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
