"""`tenaudit schema check`: does a change of schemas break somebody?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import compare_schemas
from tenaudit.cli.output import json_option, write_json, write_line, write_table

__all__ = ["check"]

_HEADINGS = ("verdict", "event", "side", "field", "change", "was -> is", "because")


@click.command(
    short_help="Tell which changes between two exports break readers or callers.",
    epilog="Exit codes: 0 nothing breaks; 1 something does; 2 bad usage or a file that cannot be used.",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@json_option
def check(old: str, new: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """List every change between two files that `tenaudit schema export` wrote, with its verdict.

    Side read is what events carry, write what a call of emit may give. With --json: {"compatible", "changes":
    [{"verdict", "action", "version", "side", "path", "kind", "detail", "why"}]}; verdict is breaking, warning or
    compatible.
    """
    changes = compare_schemas(_load(old), _load(new))
    breaking = sum(change.verdict == "breaking" for change in changes)
    if as_json:
        write_json({"compatible": not breaking, "changes": [change.to_json() for change in changes]})
    else:
        if changes:
            write_table(
                _HEADINGS,
                (
                    (
                        change.verdict,
                        change.action if change.version is None else f"{change.action} v{change.version}",
                        change.side,
                        change.path,
                        change.kind,
                        change.detail,
                        change.why,
                    )
                    for change in changes
                ),
            )
        write_line(f"{'NOT compatible' if breaking else 'compatible'}: changes {len(changes)}, breaking {breaking}")
    return 1 if breaking else 0


def _load(name: str) -> Any:
    try:
        return json.loads(Path(name).read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"{name}: {error.strerror or error}; name a file of `tenaudit schema export`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: not JSON that can be read: {error}") from error
