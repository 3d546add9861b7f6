"""The spool's folder: its one owner, the names in it, and what makes a change of names last."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.spool.record import FORMAT

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SpoolFolder"]

_LOCK = "LOCK"
_NAME = re.compile(r"(\d{20})\.v(\d{1,4})\.db\Z")
_ASIDE = ".damaged"
_LOG = "-wal"


class SpoolFolder:
    """A folder that this process owns until it closes it; made when it is not there, only for its user.

    A segment's name is the number of its first record, and the version of its format: neither is inside the file,
    where damage could reach it.

    Raises:
        ConfigurationError: another spool has the folder, or a newer version of this library filled it.
        OSError: it cannot be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _make(path, 0o700)
        self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._own()
        except BaseException:
            self.close()
            raise

    def _own(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"the spool {self.path} is in use: each process, and each spool in it, needs a folder of its own"
            ) from None
        for found in self._names():
            if int(found[2]) > FORMAT:
                raise ConfigurationError(f"the spool {self.path} was filled by a newer version: {found[0]}")

    def _names(self) -> list[re.Match[str]]:
        found = (_NAME.match(path.name) for path in self.path.iterdir())
        return [one for one in found if one]

    def segments(self) -> list[int]:
        """Return the first numbers of the segments, in order."""
        return sorted(int(found[1]) for found in self._names())

    def segment(self, first: int) -> Path:
        """Return the path of the segment whose first record is number *first*."""
        return self.path / f"{first:020}.v{FORMAT}.db"

    def aside(self) -> list[Path]:
        """Return the databases that were set aside, oldest first."""
        return sorted(path for path in self.path.iterdir() if path.name.endswith(_ASIDE))

    def set_aside(self, first: int) -> Path:
        """Rename a damaged segment and its log, so that nothing reads it again and a person still can."""
        path = self.segment(first)
        kept = path.with_name(path.name + _ASIDE)
        for ending in (_LOG, ""):
            source = path.with_name(path.name + ending)
            if source.exists():
                source.rename(kept.with_name(kept.name + ending))
        _sync(self.path)
        return kept

    def remove(self, paths: list[Path]) -> None:
        """Unlink files that nobody needs, and wait until their names are gone from the disk."""
        for path in paths:
            path.unlink(missing_ok=True)
        _sync(self.path)

    def sync(self) -> None:
        """Wait until the names of new files are on disk."""
        _sync(self.path)

    def free(self) -> int:
        """Return how many bytes the disk has left for this user."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Give the folder up; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _make(path: Path, mode: int) -> None:
    """Make a folder and those above it, one by one, so that at most the last one that is there may not last yet."""
    if path.exists():
        # An earlier attempt may have been cut off after it was made. Whoever may not read the folder above could not
        # sync that attempt either.
        with suppress(PermissionError):
            _sync(path.parent)
        return
    _make(path.parent, 0o777)
    path.mkdir(mode, exist_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
