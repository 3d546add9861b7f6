"""The cases, one a module: its name is the module's, its first docstring line what `--list` prints.

A case has one function, `run(plan, note)`, which yields `Result`s and tells *note* of peers that are missing.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["Case", "load", "names"]


class Case(Protocol):
    """What a module of this package is to the runner."""

    __doc__: str | None

    def run(self, plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
        """Measure, and yield each result as soon as it is there."""
        ...


def names() -> list[str]:
    """Return the names of the cases, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Case:
    """Import the case *name*."""
    return cast("Case", import_module(f"{__name__}.{name}"))
