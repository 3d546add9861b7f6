"""Failures in words: one line that says what and how to mend it, and an exit code."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.audit import StoreError
from tenaudit.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BROKEN_PIPE", "INTERRUPTED", "UNEXPECTED", "USAGE", "explain"]

USAGE = 2
UNEXPECTED = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
_MAX_LINE = 1000


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line, without its `error: `, and the exit code of a failure.

    >>> explain(ConfigurationError("the store is not named; add --store sqlite:///FILE"))
    ('the store is not named; add --store sqlite:///FILE', 2)
    """
    for kinds, words, code in _TABLE:
        if isinstance(error, kinds):
            return printable(words(error))[:_MAX_LINE], code
    line = f"unexpected {type(error).__name__}: {error}; run it again with --debug to see where, and report it"
    return printable(line)[:_MAX_LINE], UNEXPECTED


def _usage(error: BaseException) -> str:
    assert isinstance(error, click.ClickException)
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see {context.command_path if context else 'tenaudit'} --help"


def _own(error: BaseException) -> str:
    return str(error)


def _store(error: BaseException) -> str:
    said = str(error)
    return said if "; " in said else f"{said}; check the file, its permissions and the free space"


def _system(error: BaseException) -> str:
    assert isinstance(error, OSError)
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}; {_MENDS.get(error.errno or 0, 'check the path and its permissions')}"


def _interrupted(_error: BaseException) -> str:
    return "interrupted; run it again to go on"


_MENDS = {
    errno.EADDRINUSE: "choose another port, or stop what listens there",
    errno.EADDRNOTAVAIL: "choose an address of this machine",
    errno.ENOSPC: "make room on the disk",
    errno.EMFILE: "raise the limit of open files",
}
# The first row that fits decides, so MissingExtra stands before the ImportError and the root that it is too.
_TABLE: tuple[tuple[tuple[type[BaseException], ...], Callable[[BaseException], str], int], ...] = (
    ((KeyboardInterrupt, click.Abort), _interrupted, INTERRUPTED),
    ((click.ClickException,), _usage, USAGE),
    ((MissingExtra, ConfigurationError), _own, USAGE),
    ((StoreError,), _store, USAGE),
    ((TenauditError,), _own, USAGE),
    ((OSError,), _system, USAGE),
)
