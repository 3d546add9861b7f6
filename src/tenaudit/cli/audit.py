"""`tenaudit audit`: what can be done with the events of a store."""

from __future__ import annotations

import click

from tenaudit.cli.audit_account import account
from tenaudit.cli.audit_dlq import dlq
from tenaudit.cli.audit_erase import erase
from tenaudit.cli.audit_export import export
from tenaudit.cli.audit_hold import hold
from tenaudit.cli.audit_key import key
from tenaudit.cli.audit_purge import purge
from tenaudit.cli.audit_query import query
from tenaudit.cli.audit_retention import retention
from tenaudit.cli.audit_sign import sign
from tenaudit.cli.audit_stats import stats
from tenaudit.cli.audit_tail import tail
from tenaudit.cli.audit_verify import verify

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Query, follow, count, export, sign, verify, purge and erase events, account for each, and replay dead letters."""


audit.add_command(account)
audit.add_command(dlq)
audit.add_command(erase)
audit.add_command(export)
audit.add_command(hold)
audit.add_command(key)
audit.add_command(purge)
audit.add_command(query)
audit.add_command(retention)
audit.add_command(sign)
audit.add_command(stats)
audit.add_command(tail)
audit.add_command(verify)
