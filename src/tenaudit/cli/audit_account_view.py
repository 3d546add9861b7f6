"""How an account looks: a table and its totals for people, one object for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from tenaudit.audit.reckoning import SUMMED
from tenaudit.cli.output import write_line, write_table
from tenaudit.cli.printable import printable

if TYPE_CHECKING:
    from tenaudit.audit.reckoning import Reckoning, ReckoningRow
    from tenaudit.cli.audit_account_places import Places

__all__ = ["account_json", "print_account"]

_HEADINGS = ("producer", "closed", *(name.replace("_", " ") for name in SUMMED), "")


def account_json(reckoning: Reckoning, places: Places) -> dict[str, Any]:
    """Return `{"balanced", "producers", "totals", "unread_letters", "spools_in_use"}`."""
    return {**reckoning.to_json(), "spools_in_use": [str(folder) for folder in places.in_use]}


def print_account(reckoning: Reckoning, places: Places, notes: TextIO) -> None:
    """Print a row for each producer and their totals; what was not looked at goes to *notes*."""
    totals = reckoning.totals()
    last = (
        "all",
        f"{totals['closed']} of {totals['producers']}",
        *(str(totals[name]) for name in SUMMED),
        "",
    )
    write_table(_HEADINGS, [*map(_row, reckoning.rows), last])
    write_line("every event is accounted for" if reckoning.balanced else "NOT every event is accounted for")
    told = [f"the spool {folder} is in use: what is in it is not known" for folder in places.in_use]
    if reckoning.unread_letters:
        told.append(f"{reckoning.unread_letters} dead letters do not tell whose they are")
    notes.writelines(f"note: {printable(note)}\n" for note in told)


def _row(row: ReckoningRow) -> tuple[str, ...]:
    return (row.producer_id, "yes" if row.closed else "no", *(_shown(row, name) for name in SUMMED), _verdict(row))


def _shown(row: ReckoningRow, name: str) -> str:
    value = getattr(row, name)
    return "?" if value is None else str(value)


def _verdict(row: ReckoningRow) -> str:
    if row.balanced:
        return "balanced" if row.closed else "no gap"
    return "missing" if row.missing else "not proven"
