"""One small file, read whole and bounded, with a signature that says whether it is still that file."""

from __future__ import annotations

import os
import stat

from tenaudit._kernel.error import ConfigurationError

__all__ = ["Signature", "read_snapshot", "signature_of", "snapshot_bytes"]

Signature = tuple[int, int, int, int, int]


def signature_of(status: os.stat_result) -> Signature:
    """Return what changes when a file is written or replaced: device, inode, size and both times."""
    # ctime too: a copy that keeps size and mtime still moves it.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_snapshot(path: str, max_bytes: int) -> tuple[Signature, str]:
    """Return the signature and the text of a file.

    Raises:
        ConfigurationError: as `snapshot_bytes`, or it is no UTF-8.
    """
    signature, content = snapshot_bytes(path, max_bytes)
    try:
        return signature, content.decode()
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def snapshot_bytes(path: str, max_bytes: int) -> tuple[Signature, bytes]:
    """Return the signature and the bytes of a file, from one descriptor: a swap of the path on the way changes nothing.

    Raises:
        ConfigurationError: it cannot be read, is no regular file, over *max_bytes*, or was written meanwhile.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise ConfigurationError(f"{path}: is no regular file")
            content = file.read(max_bytes + 1)
            after = os.fstat(file.fileno())
        if len(content) > max_bytes:
            raise ConfigurationError(f"{path}: is larger than {max_bytes} bytes")
        if signature_of(before) != signature_of(after):
            raise ConfigurationError(f"{path}: was written while it was read")
        return signature_of(before), content
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
