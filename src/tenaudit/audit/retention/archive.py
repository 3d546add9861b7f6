"""Purged events as files: one for each tenant and month and step of a purge, on disk before anything is removed.

A file is gzip of NDJSON, a line an event in the order of the log, in its canonical text, which `tenaudit import
--format ndjson` reads. The record of the purge in the log proves the file by its hash.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.integrity.canonical import canonical_json
from tenaudit.audit.retention.records import ArchivedFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.retention.ranges import Range

__all__ = ["ArchiveFile", "checked_folder"]

_TEMPORARY = ".purge-"


def checked_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of archives.

    Raises:
        ConfigurationError: there is no such folder, or it cannot be written to.
    """
    path = Path(folder)
    if not os.fspath(folder):
        raise ConfigurationError("archive is empty; name a folder")
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"archive {path} is no folder that can be written to; make it first")
    return path


class _Hashed:
    """A file that is hashed as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class ArchiveFile:
    """A file on its way: under a name of its own until all of it is on disk.

    Only one purge of a store runs at a time, so what an earlier one left behind unfinished is removed.

    Args:
        folder: the folder of archives, which is there.
        tenant_id: whose events.
        month: `YYYY-MM`, of the ids of the events.

    Raises:
        OSError: the disk refuses.

    Example:
        >>> from tenaudit.testing.conformance import an_event
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = ArchiveFile(Path(folder), an_event(0).tenant_id, "2026-11")
        ...     file.add([an_event(0), an_event(1)])
        ...     made = file.finish((0, 1))
        ...     (made.rows, made.name.partition("/")[2][:12])
        (2, '2026-11.0-1.')
    """

    def __init__(self, folder: Path, tenant_id: UUID, month: str) -> None:
        self._root = folder
        self._folder = folder / str(tenant_id)
        self._month = month
        self._rows = 0
        if not self._folder.is_dir():
            self._folder.mkdir()
            _sync_folder(folder)
        for stale in self._folder.glob(f"{_TEMPORARY}{month}*"):
            stale.unlink()
        handle, name = tempfile.mkstemp(prefix=f"{_TEMPORARY}{month}-", dir=self._folder)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._hashed = _Hashed(self._file)
        # No time and no name in it: the same events make the same file.
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._hashed, mtime=0)

    def add(self, events: Iterable[AuditEvent]) -> None:
        """Write events, in the order of the log."""
        for event in events:
            self._gzip.write(canonical_json(event.record()) + b"\n")
            self._rows += 1

    def finish(self, span: Range) -> ArchivedFile:
        """Bring all of it to the disk, give it its name, and return what a record says of it.

        Args:
            span: the first and the last place of the events in the log; no two files have the same.
        """
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        # The hash is in the name, so that no archive is ever written over another one, of another store or by hand.
        path = self._folder / f"{self._month}.{span[0]}-{span[1]}.{self._hashed.hexdigest()[:16]}.ndjson.gz"
        self._path.replace(path)
        _sync_folder(self._folder)
        return ArchivedFile(path.relative_to(self._root).as_posix(), self._rows, self._hashed.hexdigest())

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
