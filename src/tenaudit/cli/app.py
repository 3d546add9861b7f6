"""The root command and the table of all others."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from tenaudit.cli.commands import CommandEntry, LazyGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "app"]

COMMANDS: Mapping[str, CommandEntry] = MappingProxyType(
    {
        "audit": CommandEntry("tenaudit.cli.audit", "audit", "Query and verify stored events.", "cli"),
        "consume": CommandEntry("tenaudit.cli.consume", "consume", "Store the events of a Kafka topic.", "cli"),
        "db": CommandEntry("tenaudit.cli.db", "db", "Make and check the tables in PostgreSQL.", "cli"),
        "demo": CommandEntry("tenaudit.cli.demo", "demo", "Run a small platform on this machine.", "demo"),
        "import": CommandEntry("tenaudit.cli.import_", "import_", "Load existing audit logs into a store.", "cli"),
        "keys": CommandEntry("tenaudit.cli.keys", "keys", "Create, list, revoke and rotate API keys.", "cli"),
        "policy": CommandEntry("tenaudit.cli.policy", "policy", "Show, check and compare policy matrices.", "cli"),
        "relay": CommandEntry("tenaudit.cli.relay", "relay", "Write the events of an outbox to a sink.", "cli"),
        "schema": CommandEntry("tenaudit.cli.schema", "schema", "Export and compare schemas of events.", "cli"),
        "serve": CommandEntry("tenaudit.cli.serve", "serve", "Answer queries of the audit trail over HTTP.", "serve"),
    }
)


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's call
    if not wanted or ctx.resilient_parsing:
        return
    try:
        number = version("tenaudit")
    except PackageNotFoundError:  # run from a checkout
        number = "unknown (not installed)"
    click.echo(f"tenaudit {number}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, and what was found is not as it should be; 2 bad usage, or a file or store "
    "that cannot be used; 70 a fault of tenaudit; 130 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback when something unexpected fails.")
def app() -> None:
    """Tenancy, authorization, error and audit spine for multi-tenant services."""
