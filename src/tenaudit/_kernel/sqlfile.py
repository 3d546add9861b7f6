"""Named statements kept in `.sql` files, so that no SQL hides in Python strings.

A statement starts at a line `-- name: what it does` and ends before the next one.
"""

from __future__ import annotations

import re
from importlib.resources import files

__all__ = ["load_statements"]

_HEAD = re.compile(r"^-- ([a-z_]+): .+$", re.MULTILINE)


def load_statements(package: str, file: str) -> dict[str, str]:
    """Return name to statement of a `.sql` file in *package*.

    Raises:
        ValueError: a name stands twice, or the file has none.
    """
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = _HEAD.split(text)[1:]
    names = parts[::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{file}: statement names must be there, and be unique")
    return dict(zip(names, (statement.strip() for statement in parts[1::2]), strict=True))
