"""`tenaudit schema export`: the schemas that a module registers, as JSON."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import DEFAULT_REGISTRY, SchemaRegistry
from tenaudit.cli.output import write_json

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["export"]


@click.command(
    short_help="Print the schemas that a module registers.",
    epilog="Exit codes: 0 printed; 2 bad usage, or a module that cannot be imported or registers nothing.",
)
@click.argument("module", metavar="MODULE")
def export(module: str) -> None:
    """Import MODULE, such as `orders.events`, and print every event type that is registered then.

    `orders.events:REGISTRY` names a registry of the module's own. The module is looked for in the current directory
    first, and its code runs. The output is one JSON object: {"events": {ACTION: {VERSION: {"durability", "read",
    "write"}}}}.
    """
    name, _, attribute = module.partition(":")
    found = _import(name)
    registry = getattr(found, attribute, None) if attribute else DEFAULT_REGISTRY
    if not isinstance(registry, SchemaRegistry):
        raise ConfigurationError(f"{module}: there is no SchemaRegistry of that name; name one, or leave it out")
    document = registry.export()
    if not document["events"]:
        raise ConfigurationError(f"{module}: no event type is registered; decorate a model with @event_type")
    write_json(document)


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    # A console script has its own folder there, not the one that it is called in.
    sys.path.insert(0, here)
    try:
        return import_module(name)
    except Exception as error:
        raise ConfigurationError(f"{name}: it cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
