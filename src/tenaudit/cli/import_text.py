"""The text of a file of an import, whole or in pieces of lines, unpacked and within bounds."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from tenaudit.audit.importers import BrokenFile
from tenaudit.cli.import_files import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MAX_FILE_BYTES", "PIECE_BYTES", "LogFile", "open_log"]

MAX_FILE_BYTES = 256 * 2**20
"""Largest text that is read at once, and largest line, after decompression: a small gzip file can hold any amount."""

PIECE_BYTES = 16 * 2**20
"""Size of a piece of a file of lines; only a longer line makes a larger one."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_CHUNK = 2**20


class LogFile:
    """A file that is read once, forwards; whatever is wrong with it is a `BrokenFile`.

    Args:
        source: its bytes, unpacked.
        piece_bytes: size of a piece.
        max_bytes: largest text, and largest line.
    """

    def __init__(self, source: BinaryIO, piece_bytes: int = PIECE_BYTES, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._source = source
        self._piece = piece_bytes
        self._max = max_bytes
        self._data = bytearray()
        self._begun = self._ended = False

    def head(self) -> str | None:
        """Return the whole lines of the first piece; None when the file is no larger than that, or has no lines."""
        self._fill(self._piece)
        end = self._data.rfind(b"\n") + 1
        return None if self._ended or not end else _decoded(self._data[:end])

    def text(self) -> str:
        """Return all that has not been returned yet.

        Raises:
            BrokenFile: `unreadable`, `broken_gzip`, `file_too_large` or `not_utf8`.
        """
        self._fill(self._max + 1)
        if len(self._data) > self._max:
            raise BrokenFile("file_too_large", f"it holds over {self._max} bytes; split it")
        return _decoded(self._data)

    def pieces(self) -> Iterator[str]:
        """Yield what has not been returned yet, in pieces of whole lines.

        Raises:
            BrokenFile: `unreadable`, `broken_gzip` or `not_utf8`; `file_too_large` for a line over the limit.
        """
        size = self._piece
        while True:
            self._fill(size)
            end = len(self._data) if self._ended else self._data.rfind(b"\n") + 1
            if end:
                yield _decoded(self._data[:end])
                del self._data[:end]
                size = self._piece
            elif self._ended:
                return
            elif size > self._max:
                raise BrokenFile("file_too_large", f"a line holds over {self._max} bytes")
            else:
                size = min(2 * size, self._max + 1)

    def _fill(self, size: int) -> None:
        """Read until *size* bytes are there or the file has ended."""
        with _told():
            while not self._ended and len(self._data) < size:
                chunk = self._source.read(min(_CHUNK, size - len(self._data)))
                self._data += chunk
                self._ended = not chunk
        if not self._begun and self._data.startswith(_BOM):
            del self._data[: len(_BOM)]
        self._begun = True


@contextmanager
def open_log(path: Path, piece_bytes: int = PIECE_BYTES, max_bytes: int = MAX_FILE_BYTES) -> Iterator[LogFile]:
    """Open a file, unpacked when its first bytes say that it is gzip.

    Raises:
        BrokenFile: `unreadable`.
    """
    with _told():
        file = path.open("rb")
    with file:
        with _told():
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
        source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
        yield LogFile(source, piece_bytes, max_bytes)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a read raises into `BrokenFile`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenFile("broken_gzip", f"the compressed data is cut off or damaged: {error}") from None
    except OSError as error:
        raise BrokenFile("unreadable", reason_of(error)) from None


def _decoded(data: bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BrokenFile("not_utf8", f"byte {error.start} is not UTF-8") from None
