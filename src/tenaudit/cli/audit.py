"""`tenaudit audit`: what can be done with the events of a store."""

from __future__ import annotations

import click

from tenaudit.cli.audit_query import query
from tenaudit.cli.audit_verify import verify

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Query and verify stored events."""


audit.add_command(query)
audit.add_command(verify)
