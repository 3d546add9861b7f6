"""A sink that appends one JSON line an event to a file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tenaudit.audit import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent

__all__ = ["JsonlSink"]


class JsonlSink:
    """Appends batches to a file, each with one write and one fsync; a failed write leaves no half line.

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
        self._file: BinaryIO | None = None
        self._turn = asyncio.Lock()

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Append the batch and return once it is on disk."""
        lines = "".join(json.dumps(event.record(), ensure_ascii=False, separators=(",", ":")) + "\n" for event in batch)
        async with self._turn:
            try:
                await asyncio.to_thread(self._append, lines.encode())
            except OSError as error:
                raise SinkUnavailable(f"{self._path}: {error.strerror or error}") from error

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        before = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, "the disk took only part of the batch")  # noqa: TRY301 - undone below like any other
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(before)
            raise

    async def close(self) -> None:
        """Close the file; a second call does nothing."""
        async with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None
