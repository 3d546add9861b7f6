"""A sink that appends one JSON line an event to a file."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tenaudit.audit import SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent

__all__ = ["JsonlSink"]

# How far back the start of a torn line is looked for; an event is at most 64 KiB, as text six times that.
_LONGEST_LINE = 512 * 1024
_LINE_START = b'{"event_id":'


class JsonlSink:
    """Appends batches to a file, each with one fsync; a failed write leaves no half line.

    Several processes may append to one file: each write holds its lock. A half line that a killed process left is
    cut off, since its batch was never acknowledged.

    Args:
        path: the file; made when it is not there, its folder is not.

    Example:
        >>> import asyncio, tempfile
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         sink = JsonlSink(f"{folder}/audit.jsonl")
        ...         await sink.write([])
        ...         await sink.close()
        >>> asyncio.run(main())
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._file: BinaryIO | None = None
        # One thread, so that a write which was given up but still runs is waited for and not overtaken.
        self._pool = ThreadPoolExecutor(1, "tenaudit-jsonl")

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Append the batch and return once it is on disk.

        Raises:
            SinkUnavailable: the file cannot be written now, or the sink is closed.
            SinkRejected: events that are no JSON; nothing was written.
        """
        if self._closed:
            raise SinkUnavailable(f"{self._path}: the sink is closed")
        if self._pid != os.getpid():
            # A forked child has no thread, and only a file that it opened itself can it lock against its parent.
            self._close()
            self._begin()
        data = _lines(batch)
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._append, data)
        except OSError as error:
            raise SinkUnavailable(f"{self._path}: {error.strerror or error}") from error

    def _append(self, data: bytes) -> None:
        file = self._file = self._file or _opened(self._path)
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            before = _whole_end(file)
            try:
                _write_all(file, data)
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    async def close(self) -> None:
        """Close the file after the write that runs; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._pid == os.getpid():
                await asyncio.get_running_loop().run_in_executor(self._pool, self._close)
        finally:
            self._pool.shutdown(wait=False)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _lines(batch: Sequence[AuditEvent]) -> bytes:
    lines: list[bytes] = []
    refused: list[AuditEvent] = []
    for event in batch:
        try:
            text = json.dumps(event.record(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            lines.append(text.encode() + b"\n")
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
            refused.append(event)
    if refused:
        raise SinkRejected.of(refused, "not_json")
    return b"".join(lines)


def _opened(path: Path) -> BinaryIO:
    new = not path.exists()
    file = path.open("a+b", buffering=0)
    if new:
        # The name of a new file is on disk only once its folder is.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file


def _whole_end(file: BinaryIO) -> int:
    """Return the size of the file, after cutting off the half line that a killed process left."""
    size = file.seek(0, os.SEEK_END)
    if size == 0 or _read(file, size - 1, size) == b"\n":
        return size
    start = max(0, size - _LONGEST_LINE)
    tail = _read(file, start, size)
    torn = tail[tail.rfind(b"\n") + 1 :]
    # Nothing is cut off a file that others write.
    if not torn.startswith(_LINE_START[: len(torn)]):
        raise OSError(errno.EILSEQ, "the last line is no audit event's; name another file")
    file.truncate(size - len(torn))
    return size - len(torn)


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = file.write(rest)
        if not written:
            raise OSError(errno.ENOSPC, "the disk took only part of the batch")
        rest = rest[written:]
