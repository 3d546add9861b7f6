"""`tenaudit audit verify EXPORT`: is a file what was logged? With the public key, and without any store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import Problem
from tenaudit.audit.export_check import ExportCheck, ExportReport, Leniency
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, RoundError, tenant_of
from tenaudit.audit.proven_export import MAX_END_BYTES, MAX_LINE_BYTES, ExportClaim, ExportFileError, parsed_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO
    from uuid import UUID

    from tenaudit.audit.integrity.note import NoteVerifier

__all__ = ["check_export"]


def check_export(
    path: Path, trusted: Sequence[NoteVerifier], tenant_id: UUID | None, leniency: Leniency
) -> ExportReport:
    """Return what is wrong with an export that was made with proofs.

    Args:
        path: the file; it is read twice at its end, and once from its beginning.
        trusted: whose signatures count.
        tenant_id: whose events they must be; None takes those of any tenant.
        leniency: what is demanded.

    Raises:
        ExportFileError: it is no such file; the line is named.
        ConfigurationError: it is no file.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path} is no file; an export is read more than once")
    with path.open("rb") as file:
        try:
            return _checked(file, trusted, tenant_id, leniency)
        except ExportFileError as error:
            raise ExportFileError(f"{path}: {error}") from None


def _checked(
    file: BinaryIO, trusted: Sequence[NoteVerifier], tenant_id: UUID | None, leniency: Leniency
) -> ExportReport:
    end, last = _last_line(file)
    claim = ExportClaim.from_line(last)
    if claim is None:
        return _unproven(_counted(file), "truncated", "the file has no whole line at its end that says what it holds")
    try:
        tip = claim.tip.verified_by(trusted)
    except RoundError as error:
        return _unproven(claim.events, "checkpoint", str(error))
    whose = tenant_of(tip.origin)
    if tenant_id not in (None, whose):
        return _unproven(claim.events, "checkpoint", f"the export is of tenant {whose}, and not of {tenant_id}")
    check = ExportCheck(tip, claim, leniency)
    for number, line in enumerate(_lines(file, end), 1):
        check.line(number, parsed_line(line, number))
    return check.report()


def _unproven(events: int, kind: str, detail: str) -> ExportReport:
    return ExportReport(events, None, (Problem(ALL_LOGS, None, kind, detail),), 1)


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the last line begins, and the line; one that is cut off or too long is empty."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - MAX_END_BYTES - 1)
    file.seek(start)
    tail = file.read(MAX_END_BYTES + 1)
    if not tail.endswith(b"\n"):
        return size, b""
    before = tail.rfind(b"\n", 0, -1)
    if before < 0 and start > 0:
        return size, b""
    return start + before + 1, tail[before + 1 :]


def _lines(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the lines up to a place, each with one byte more than it may have at most."""
    place = file.seek(0)
    while place < end and (line := file.readline(MAX_LINE_BYTES + 1)):
        place += len(line)
        yield line


def _counted(file: BinaryIO) -> int:
    file.seek(0)
    return sum(piece.count(b"\n") for piece in iter(lambda: file.read(MAX_LINE_BYTES), b""))
