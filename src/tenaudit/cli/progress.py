"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenaudit._kernel.clock import Clock

__all__ = ["ImportProgress", "import_progress"]

_EVERY = 5.0


class ImportProgress(Protocol):
    """What an import tells of itself."""

    def __call__(self, *, files: int, records: int) -> None:
        """Take the number of files that are done and of records that were read."""
        ...


class _Lines:
    """Writes a line at most every five seconds, so that a log of a long run stays short."""

    def __init__(self, total: int, clock: Clock) -> None:
        self._total = total
        self._clock = clock
        self._last = clock.monotonic()

    def __call__(self, *, files: int, records: int) -> None:
        now = self._clock.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            sys.stderr.write(f"importing: {files} of {self._total} files, {records} records\n")


@contextmanager
def import_progress(total: int, clock: Clock) -> Iterator[ImportProgress]:
    """Show progress over *total* files while the block runs."""
    if not sys.stderr.isatty():
        yield _Lines(total, clock)
        return
    columns = (
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[records]} records"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("importing", total=total, records=0)

        def show(*, files: int, records: int) -> None:
            bar.update(task, completed=files, records=records)

        yield show
