"""`tenaudit db status`: which version the tables of a store in PostgreSQL have."""

from __future__ import annotations

import asyncio

import click

from tenaudit.cli.db_store import check_dsn, database_option, write_states
from tenaudit.cli.output import json_option

__all__ = ["status"]


@click.command(
    short_help="Show which migrations were applied.",
    epilog="Exit codes: 0 they are of this version; 1 they are not; 2 bad usage or a database that cannot be used.",
)
@database_option
@json_option
def status(dsn: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Show every migration that the database or this version of tenaudit knows.

    Its state is applied, pending, changed (it was applied with other statements) or unknown (a newer tenaudit
    applied it).

    With --json: {"migrations": [{"version", "name", "state", "applied_at"}]}.
    """
    # Here, so that the help needs no extra.
    from tenaudit.backends.postgres import status as read  # noqa: PLC0415 - see above

    states = asyncio.run(read(check_dsn(dsn)))
    write_states(states, as_json=as_json)
    return 0 if all(one.state == "applied" for one in states) else 1
