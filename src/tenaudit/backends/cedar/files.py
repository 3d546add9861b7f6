"""Policy files found and read, each bounded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.snapshot import read_snapshot
from tenaudit.backends.cedar.rules import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["policy_files", "read_source"]

_MAX_BYTES = 1 << 20


def policy_files(given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the paths of the policies: of a folder its `*.cedar` files by name.

    Raises:
        ConfigurationError: there are none, so that a mistyped folder is no policy that denies all.
    """
    every = [given] if isinstance(given, str | os.PathLike) else list(given)
    found: list[str] = []
    for path in map(Path, every):
        found += map(str, sorted(path.glob("*.cedar"))) if path.is_dir() else [str(path)]
    if not found:
        raise ConfigurationError(f"{', '.join(map(str, every)) or 'policies'}: no *.cedar file")
    return found


def read_source(path: str | os.PathLike[str]) -> Source:
    """Return the text of a file of at most 1 MiB.

    Raises:
        ConfigurationError: it cannot be read, or is no UTF-8.
    """
    name = os.fspath(path)
    return Source(name, read_snapshot(name, _MAX_BYTES)[1])
