"""`tenaudit policy explain`: why somebody is allowed or denied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.policy_source import file_option, load_source
from tenaudit.policy import explain_roles

if TYPE_CHECKING:
    from tenaudit.cli.policy_source import MatrixSource
    from tenaudit.policy import Explanation

__all__ = ["explain"]


@click.command(
    short_help="Say why roles are allowed a capability, or what is missing.",
    epilog="Exit codes: 0 explained, allowed or not; 2 bad usage or a file that cannot be used.",
)
@click.argument("capability", metavar="CAPABILITY")
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="A role that the caller holds; repeat for more.")
@file_option
@json_option
def explain(capability: str, roles: tuple[str, ...], name: str, as_json: bool) -> None:  # noqa: FBT001 - click's call
    """Say who grants CAPABILITY to the roles, or which role would, with the line of each rule in the file.

    With --json: {"allowed", "capability", "reason", "granted_by", "would_grant", "unknown_roles", "missing_role",
    "rules": [{"role", "place"}]}.
    """
    source = load_source(name)
    found = explain_roles(source.matrix, roles, capability)
    if as_json:
        rules = [{"role": role, "place": source.place(role, capability)} for role in found.would_grant]
        write_json({**found.to_json(), "rules": rules})
    else:
        _print(found, source)


def _print(found: Explanation, source: MatrixSource) -> None:
    write_line(f"{'allowed' if found.allowed else 'DENIED'}: {found.capability} ({found.reason})")
    for role in found.unknown_roles:
        write_line(f"unknown role: {role}, which grants nothing")
    if found.missing_role is not None:
        write_line(f"missing: {found.capability}; a denied client may read missing_role {found.missing_role}")
    shown = [("granted by", role) for role in found.granted_by] or [("would grant", role) for role in found.would_grant]
    for word, role in shown:
        place = source.place(role, found.capability)
        write_line(f"{word}: {role}{'' if place is None else f' ({place})'}")
