"""What people and programs are shown of an API key: never its secret, nor the hash of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tenaudit.cli.keys_time import shown_time
from tenaudit.cli.output import write_json, write_line

if TYPE_CHECKING:
    from tenaudit.security import ApiKeyRecord

__all__ = ["key_view", "show_new_key", "state_of"]


def state_of(record: ApiKeyRecord, now: float) -> str:
    """Return `revoked`, `expired`, `replaced` (works until its end) or `active`."""
    if record.revoked:
        return "revoked"
    if record.expired(now):
        return "expired"
    return "active" if record.replaced_by is None else "replaced"


def key_view(record: ApiKeyRecord, now: float) -> dict[str, Any]:
    """Return the fields of a record as JSON values."""
    return {
        "prefix": record.prefix,
        "tenant_id": str(record.tenant_id),
        "roles": sorted(record.roles),
        "name": record.name,
        "description": record.description,
        "state": state_of(record, now),
        "created_at": shown_time(record.created_at),
        "expires_at": shown_time(record.expires_at),
        "revoked_at": shown_time(record.revoked_at),
        "rotated_from": record.rotated_from,
        "replaced_by": record.replaced_by,
    }


def show_new_key(key: str, record: ApiKeyRecord, now: float, *, as_json: bool, note: str = "") -> None:
    """Print a whole key, the only time that it is shown: alone on standard output, or in one JSON object."""
    try:
        if as_json:
            write_json({"key": key, **key_view(record, now)})
        else:
            write_line(key)
        sys.stdout.flush()
    except OSError:
        # It is in the store, and nobody will ever read it.
        sys.stderr.write(f"{record.prefix} was made and could not be shown: revoke it with tenaudit keys revoke\n")
        raise
    if as_json:
        return
    end = shown_time(record.expires_at)
    until = "without an end" if end is None else f"until {end}"
    sys.stderr.write(f"{record.prefix} works {until}; the key is shown this once and stored nowhere\n{note}")
