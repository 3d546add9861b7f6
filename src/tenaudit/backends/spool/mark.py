"""Where the spool stands: a few numbers, kept twice, overwritten in place so that a full disk cannot stop it.

Segments alone cannot tell how far they once reached: SQLite drops a damaged tail of its log without a word. The two
files take turns, so a write that is cut short, or one damaged file, leaves the state before it.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Mark", "MarkFiles"]

_NAMES = ("MARK.a", "MARK.b")
_LAYOUT = struct.Struct(">8sQQQQ")
_MAGIC = b"tnspool1"
_CRC = struct.Struct(">I")
_SIZE = _LAYOUT.size + _CRC.size


class Mark(NamedTuple):
    """Numbers of the spool.

    Attributes:
        written: highest sequence number that is on disk.
        acked: up to which number everything is settled.
        lost: records up to `acked` that could not be given back.
    """

    written: int
    acked: int
    lost: int


class MarkFiles:
    """The two files of one folder.

    Args:
        folder: where they are; they are made when they are not there.

    Raises:
        OSError: they cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._turn = 0
        self._files: list[int] = []
        self.found: Mark | None = None
        try:
            for name in _NAMES:
                self._files.append(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            known = [one for one in map(_read, self._files) if one is not None]
        except BaseException:
            self.close()
            raise
        if known:
            self._turn, self.found = max(known)

    def write(self, mark: Mark) -> None:
        """Overwrite the older file; it is as durable as the page cache, which outlives a killed process.

        Raises:
            OSError: it cannot be written.
        """
        turn = self._turn + 1
        body = _LAYOUT.pack(_MAGIC, turn, *mark)
        os.pwrite(self._files[turn % 2], body + _CRC.pack(crc32(body)), 0)
        self._turn = turn

    def settle(self, mark: Mark) -> None:
        """Write both files and wait for the disk: only after this may what the mark settles be removed.

        Raises:
            OSError: they cannot be written.
        """
        for _ in self._files:
            self.write(mark)
            os.fdatasync(self._files[self._turn % 2])

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        while self._files:
            os.close(self._files.pop())


def _read(file: int) -> tuple[int, Mark] | None:
    data = os.pread(file, _SIZE, 0)
    if len(data) < _SIZE or _CRC.unpack(data[_LAYOUT.size :])[0] != crc32(data[: _LAYOUT.size]):
        return None
    magic, turn, written, acked, lost = _LAYOUT.unpack(data[: _LAYOUT.size])
    return (turn, Mark(written, acked, lost)) if magic == _MAGIC else None
