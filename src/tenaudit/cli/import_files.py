"""The files that an import reads: found once each, and read within bounds."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.importers import BrokenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MAX_FILE_BYTES", "FoundFiles", "find_files", "read_text"]

MAX_FILE_BYTES = 256 * 2**20
"""Largest file that is read, counted after decompression: a small gzip file can hold any amount."""

_SUFFIXES = (".json", ".gz")
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20


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
    """Find the files of an import: those named, and `.json` and `.gz` files below the folders named.

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
                found.broken.append((file, _why(error)))
                continue
            if not stat.S_ISREG(what.st_mode):
                found.skipped += 1
            elif (what.st_dev, what.st_ino) not in seen:
                seen.add((what.st_dev, what.st_ino))
                found.files.append(file)
    return found


def read_text(path: Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return the text of a file, unpacked when its first bytes say that it is gzip.

    Raises:
        BrokenFile: `unreadable`, `broken_gzip`, `file_too_large` or `not_utf8`.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
            data = _bounded(source, max_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenFile("broken_gzip", f"the compressed data is cut off or damaged: {error}") from None
    except OSError as error:
        raise BrokenFile("unreadable", _why(error)) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenFile("not_utf8", f"byte {error.start} is not UTF-8") from None


def _bounded(source: BinaryIO, max_bytes: int) -> bytearray:
    data = bytearray()
    while chunk := source.read(min(_CHUNK, max_bytes + 1 - len(data))):
        data += chunk
        if len(data) > max_bytes:
            raise BrokenFile("file_too_large", f"it holds over {max_bytes} bytes; split it")
    return data


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
        raise ConfigurationError(f"{path} cannot be read: {_why(error)}; check its permissions") from None
    return False


def _below(folder: Path, found: FoundFiles) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        found.broken.append((Path(error.filename), _why(error)))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES):
                yield Path(parent, name)
            else:
                found.skipped += 1


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
