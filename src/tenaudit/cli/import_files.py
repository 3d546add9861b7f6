"""The files that an import reads, found once each."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FoundFiles", "find_files", "reason_of"]

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".gz")


@dataclass(slots=True)
class FoundFiles:
    """What the paths of a command hold.

    Args:
        files: each file once, in the order of the paths and then of their names.
        broken: what could not be looked into, and why.
        skipped: files in folders that are no log by their name.
    """

    files: list[Path] = field(default_factory=list)
    broken: list[tuple[Path, str]] = field(default_factory=list)
    skipped: int = 0


def find_files(paths: Iterable[Path]) -> FoundFiles:
    """Find the files of an import: those named, and those below the folders named that are logs by their suffix.

    Links to folders inside a folder are not followed, so no loop can arise.

    Raises:
        ConfigurationError: a named path is not there or cannot be read.
    """
    found = FoundFiles()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        for file in _below(path, found) if _readable(path) else [path]:
            try:
                what = file.stat()
            except OSError as error:
                found.broken.append((file, reason_of(error)))
                continue
            if not stat.S_ISREG(what.st_mode):
                found.skipped += 1
            elif (what.st_dev, what.st_ino) not in seen:
                seen.add((what.st_dev, what.st_ino))
                found.files.append(file)
    return found


def _readable(path: Path) -> bool:
    """Tell whether a named path is a folder, having made sure that it can be read."""
    try:
        if path.is_dir():
            os.scandir(path).close()
            return True
        if not path.is_file():
            why = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise ConfigurationError(f"{path} {why}; check the path")
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {reason_of(error)}; check its permissions") from None
    return False


def _below(folder: Path, found: FoundFiles) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        found.broken.append((Path(error.filename), reason_of(error)))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES):
                yield Path(parent, name)
            else:
                found.skipped += 1


def reason_of(error: OSError) -> str:
    """Return what the system says of a failure, without the path."""
    return error.strerror or type(error).__name__
