"""`__all__` of every public package is sorted, complete and importable."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

import pytest

import tenaudit

# Isort's order, which ruff keeps: constants, then classes, then the rest.
_SHAPES = (r"[A-Z][A-Z0-9_]*\Z", r"_?[A-Z]")


def _packages() -> list[str]:
    found = pkgutil.walk_packages(tenaudit.__path__, "tenaudit.", onerror=lambda _: None)
    public = [m for m in found if not any(part.startswith("_") for part in m.name.split("."))]
    return ["tenaudit", *(m.name for m in public)]


def _order(name: str) -> tuple[int, str]:
    kind = next((place for place, shape in enumerate(_SHAPES) if re.match(shape, name)), len(_SHAPES))
    return kind, name


def _shown(module: ModuleType) -> set[str]:
    """The names that a package's `__init__` shows: no submodules, no aliases with an underscore, nothing foreign."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", "tenaudit").startswith("tenaudit")
        # A package that looks for its optional library has the name of the error, and does not offer it.
        and name not in {"MissingExtra", "TYPE_CHECKING"}
    }


@pytest.mark.parametrize("name", _packages())
def test_all_is_sorted_and_every_name_loads(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert _shown(module) == set()
        return
    assert listed == sorted(set(listed), key=_order)
    for each in listed:
        assert getattr(module, each) is not None


@pytest.mark.parametrize("name", [name for name in _packages() if hasattr(importlib.import_module(name), "__path__")])
def test_a_package_lists_exactly_what_it_shows(name: str) -> None:
    module = importlib.import_module(name)
    listed = set(getattr(module, "__all__", []))
    for each in listed:
        getattr(module, each)
    assert _shown(module) - listed == set()
