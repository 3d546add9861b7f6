"""`tenaudit audit dlq`: what can be done with records that hold no event, or one that the store refused."""

from __future__ import annotations

import click

from tenaudit.cli.audit_dlq_discard import discard_letters
from tenaudit.cli.audit_dlq_list import list_letters
from tenaudit.cli.audit_dlq_replay import replay_letters
from tenaudit.cli.audit_dlq_show import show_letter

__all__ = ["dlq"]


@click.group()
def dlq() -> None:
    """Show, replay and discard dead letters."""


dlq.add_command(discard_letters)
dlq.add_command(list_letters)
dlq.add_command(replay_letters)
dlq.add_command(show_letter)
