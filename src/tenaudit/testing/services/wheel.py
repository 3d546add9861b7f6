"""Files that lie inside an installed wheel, found without importing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["wheel_path"]


def wheel_path(package: str, relative: str) -> Path | None:
    """Path of *relative* inside the installed *package*, or None when either is absent.

    The package is not imported: some of them take locks or warn at import.

    Example:
        >>> wheel_path("tenaudit", "py.typed").name
        'py.typed'
        >>> wheel_path("tenaudit", "no-such-file") is None
        True
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, relative)).exists():
            return path
    return None
