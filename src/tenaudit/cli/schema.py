"""`tenaudit schema`: what events carry, written down, and whom a change breaks."""

from __future__ import annotations

import click

from tenaudit.cli.schema_check import check
from tenaudit.cli.schema_export import export

__all__ = ["schema"]


@click.group()
def schema() -> None:
    """Export the schemas of typed events, and compare two exports."""


for _command in (check, export):
    schema.add_command(_command)
