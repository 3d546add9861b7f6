"""`tenaudit db migrate`: bring the tables of a store in PostgreSQL to this version."""

from __future__ import annotations

import asyncio

import click

from tenaudit.cli.db_store import check_dsn, database_option, write_states
from tenaudit.cli.output import json_option
from tenaudit.cli.seconds_range import SecondsRange

__all__ = ["migrate"]


@click.command(
    short_help="Bring the tables to this version.",
    epilog="Exit codes: 0 the tables are of this version; 2 bad usage or a database that cannot be migrated.",
)
@database_option
@click.option(
    "--timeout",
    type=SecondsRange(min=0.1, max=86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for all of it; nothing is changed when it does not suffice.",
)
@json_option
def migrate(dsn: str, timeout: float, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Apply every migration that the database does not have, all of them or none.

    Running it again changes nothing, and several may run it at once. The user needs CREATE on the database, and
    CREATEROLE unless it is a superuser.

    With --json: {"migrations": [{"version", "name", "state", "applied_at"}]}.
    """
    # Here, so that the help needs no extra.
    from tenaudit.backends.postgres import migrate as apply  # noqa: PLC0415 - see above

    write_states(asyncio.run(apply(check_dsn(dsn), deadline=timeout)), as_json=as_json)
    return 0
