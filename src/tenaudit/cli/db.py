"""`tenaudit db`: the tables of a store in PostgreSQL."""

from __future__ import annotations

import click

from tenaudit.cli.db_migrate import migrate
from tenaudit.cli.db_status import status

__all__ = ["db"]


@click.group()
def db() -> None:
    """Make and check the tables of a store in PostgreSQL."""


db.add_command(migrate)
db.add_command(status)
