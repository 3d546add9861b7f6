"""A place for signed checkpoints: a file with one JSON line a round, which only ever grows."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from tenaudit.audit import StoreError
from tenaudit.audit.integrity.log_of_logs import RoundError, SealedRound
from tenaudit.audit.integrity.note import MAX_NOTE_CHARS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["CheckpointFile", "read_rounds"]

_T = TypeVar("_T")
# A round has a note, and a body of about 130 characters for each of its tenants.
_LONGEST_LINE = 4 * MAX_NOTE_CHARS
_AT_ONCE = 100
_START = b'{"first": '


class CheckpointFile:
    """Keeps signed rounds in a file, each with one fsync.

    On another machine's disk, or on one that can only be appended to, it shows what was done to the store since.
    Several processes may have it open: each round is written under the file's lock. A half line that a killed process
    left is cut off: it was never acknowledged.

    Args:
        path: the file; made when it is not there, its folder is not.

    Example:
        >>> import tempfile
        >>> async def main(folder):
        ...     place = CheckpointFile(f"{folder}/checkpoints.ndjson")
        ...     found = await place.size(), [sealed async for sealed in place.rounds()]
        ...     await place.close()
        ...     return found
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        (0, [])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        # Up to where the file was read, and how many checkpoints there are up to there.
        self._place = self._size = 0
        self._is_named = False
        # One thread: what was given up but still runs is waited for and not overtaken.
        self._pool = ThreadPoolExecutor(1, "tenaudit-checkpoints")

    async def size(self) -> int:
        """Return how many checkpoints its rounds have.

        Raises:
            StoreError: the file cannot be read.
            RoundError: a line is no round, or does not continue the one before.
        """
        return await self._run(self._sized)

    async def put(self, sealed: SealedRound) -> None:
        """Append a round and return once it is on disk.

        Raises:
            StoreError: the file cannot be written.
            RoundError: the round does not begin where the file ends, or a line of the file is none.
        """
        await self._run(partial(self._append, sealed))

    async def rounds(self, first: int = 0) -> AsyncIterator[SealedRound]:
        """Yield the rounds from the one that begins at *first*.

        Raises:
            StoreError: the file cannot be read.
            RoundError: a line is no round, or none begins at *first*.
        """
        found = _from(read_rounds(self._path), first)
        while part := await self._run(lambda: list(islice(found, _AT_ONCE))):
            for sealed in part:
                yield sealed

    async def close(self) -> None:
        """Let its thread end after what it does; no file stays open."""
        self._pool.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except OSError as error:
            raise _failed(self._path, error) from error

    def _sized(self) -> int:
        if not _is_there(self._path):
            self._place = self._size = 0
            return 0
        with self._path.open("rb") as file:
            before = self._place
            self._read_on(file)
            if self._place != before:
                # Whoever wrote it may not have come to wait for the disk, and what is seen here goes on to others.
                os.fsync(file.fileno())
        return self._size

    def _append(self, sealed: SealedRound) -> None:
        line = json.dumps({"first": sealed.first, "bodies": sealed.bodies, "note": sealed.note}).encode() + b"\n"
        if not _is_there(self._path):
            self._path.touch(0o600)
        with self._path.open("r+b") as file:
            # Given back when the file is closed.
            fcntl.flock(file, fcntl.LOCK_EX)
            self._read_on(file)
            if sealed.first != self._size:
                raise RoundError(f"{self._path}: a round begins at {sealed.first}, and the file ends at {self._size}")
            _check_tail(file, self._path, self._place)
            _write(file.fileno(), line, self._place)
        if not self._is_named:
            _sync_folder(self._path.parent)
            self._is_named = True

    def _read_on(self, file: BinaryIO) -> None:
        """Take in what others have added."""
        if os.fstat(file.fileno()).st_size < self._place:
            self._place = self._size = 0
        file.seek(self._place)
        for sealed, end in _lines(file, self._path, self._place):
            if sealed.first != self._size:
                raise RoundError(f"{self._path}: a round begins at {sealed.first} and not at {self._size}")
            self._place, self._size = end, self._size + len(sealed.bodies)


def read_rounds(file: str | os.PathLike[str]) -> Iterator[SealedRound]:
    """Yield the rounds in a file; nothing of them is checked but their form. A half line at its end is left out.

    Raises:
        StoreError: the file cannot be read.
        RoundError: a line is no round.
    """
    path = Path(file)
    try:
        if not _is_there(path):
            return
        with path.open("rb") as opened:
            for sealed, _ in _lines(opened, path, 0):
                yield sealed
    except OSError as error:
        raise _failed(path, error) from error


def _is_there(path: Path) -> bool:
    """Tell whether there is a file.

    Raises:
        OSError: there is something else, which might be waited for without end.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is no file")
    return True


def _check_tail(file: BinaryIO, path: Path, place: int) -> None:
    """Refuse to cut off what is not the beginning of a round: the file may be another one."""
    file.seek(place)
    tail = file.read(len(_START))
    if not _START.startswith(tail):
        raise RoundError(f"{path}: what stands at byte {place} is no round of checkpoints")


def _from(rounds: Iterator[SealedRound], first: int) -> Iterator[SealedRound]:
    size = 0
    for sealed in rounds:
        size = sealed.first + len(sealed.bodies)
        if sealed.first >= first:
            if sealed.first > first:
                raise RoundError(f"no round begins at {first}")
            first = size
            yield sealed
    if size < first:
        raise RoundError(f"the record ends at {size}, before {first}")


def _lines(file: BinaryIO, path: Path, place: int) -> Iterator[tuple[SealedRound, int]]:
    while True:
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise RoundError(f"{path}: the line at byte {place} is longer than {_LONGEST_LINE} bytes")
        if not line.endswith(b"\n"):
            return
        try:
            yield _round(line), place + len(line)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RoundError(f"{path}: the line at byte {place} is no round of checkpoints") from None
        place += len(line)


def _round(line: bytes) -> SealedRound:
    found = json.loads(line)
    first, bodies, note = found["first"], found["bodies"], found["note"]
    texts = isinstance(bodies, list) and all(isinstance(one, str) for one in (*bodies, note))
    if type(first) is not int or not texts or not bodies:
        raise ValueError("a field has another type")
    return SealedRound(first, tuple(bodies), note)


def _write(file: int, line: bytes, place: int) -> None:
    """Write at *place*, past the buffer that was read with: that would try what failed again when it is closed."""
    os.ftruncate(file, place)
    try:
        done = 0
        while done < len(line):
            done += os.pwrite(file, line[done:], place + done)
        os.fsync(file)
    except OSError:
        # What the disk may never have must not be continued.
        os.ftruncate(file, place)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: {error.strerror or error}")
