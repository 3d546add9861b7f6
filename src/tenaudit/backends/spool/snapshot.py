"""Reading what a spool holds without touching it: its files are copied while nobody has it, and the copy is read."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.spool.disk import DiskSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tenaudit.audit import AuditEvent

__all__ = ["SpoolInUse", "spooled_events"]

_BATCH = 1000
# The file that the owner of the folder holds.
_LOCK = "LOCK"
# Only the spool's own files: a folder that was named by mistake may hold anything, and the copy too. What was set aside
# for a person holds nothing that the spool would give back.
_OWN = re.compile(r"\d{20}\.v\d{1,4}\.db(-wal|-shm|-journal)?|MARK\.[ab]")


class SpoolInUse(ConfigurationError):  # noqa: N818 - a fact about the folder
    """A live process has the spool, so what is in it changes while one looks."""


async def spooled_events(folder: Path) -> AsyncIterator[AuditEvent]:
    """Yield the events that a spool holds, in order; nothing in its folder changes.

    The lock is held while the files are copied to the folder of temporary files, and a process that would start with
    this spool in that moment is refused.

    Raises:
        SpoolInUse: a process has the spool.
        ConfigurationError: there is no such folder, it is no spool, or a newer version of this library filled it.
        SpoolError: it cannot be read.
        OSError: it cannot be copied.
    """
    with TemporaryDirectory(prefix="tenaudit-spool-") as place:
        copy = Path(place) / "spool"
        await asyncio.to_thread(_copy, folder, copy)
        async with DiskSpool(copy, reserve_bytes=0) as spool:
            while batch := await spool.read(_BATCH):
                for event in batch.events:
                    yield event
                await spool.ack(batch.token)


def _copy(folder: Path, copy: Path) -> None:
    if not folder.is_dir():
        raise ConfigurationError(f"there is no spool {folder}; check its path")
    with _locked(folder):
        names = [path.name for path in folder.iterdir()]
        own = [name for name in names if _OWN.fullmatch(name)]
        if names and not own and _LOCK not in names:
            raise ConfigurationError(f"{folder} is no spool; check its path")
        copy.mkdir(mode=0o700)
        for name in own:
            shutil.copy2(folder / name, copy / name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # Nobody has ever had it: what is in it was put there from elsewhere, as a backup is.
        yield
        return
    try:
        try:
            # Shared, so that two who look do not take each other for its owner.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolInUse(f"the spool {folder} is in use") from None
        yield
    finally:
        os.close(lock)
