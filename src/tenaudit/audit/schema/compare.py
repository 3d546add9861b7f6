"""Two exports of schemas, and every change between them with its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit.schema.change import Change
from tenaudit.audit.schema.declared import DURABILITIES
from tenaudit.audit.schema.difference import differences
from tenaudit.audit.schema.document import read_export

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenaudit.audit.schema.document import ExportedType

__all__ = ["compare_schemas"]


def compare_schemas(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return every change between two results of `SchemaRegistry.export`, by action, version and field.

    Raises:
        ConfigurationError: one of them is no such export.

    Example:
        >>> compare_schemas({"events": {}}, {"events": {}})
        ()
    """
    return tuple(_changes(read_export(old, "old"), read_export(new, "new")))


def _changes(
    old: Mapping[str, Mapping[int, ExportedType]], new: Mapping[str, Mapping[int, ExportedType]]
) -> Iterator[Change]:
    for action in sorted(old.keys() | new.keys()):
        before, after = old.get(action, {}), new.get(action, {})
        if not before or not after:
            yield Change(action, None, "read", "", "type_removed" if before else "type_added")
            continue
        for version in sorted(before.keys() | after.keys()):
            if version not in after or version not in before:
                yield Change(action, version, "read", "", "version_removed" if version in before else "version_added")
            else:
                yield from _of_version(action, version, before[version], after[version])


def _of_version(action: str, version: int, old: ExportedType, new: ExportedType) -> Iterator[Change]:
    was, is_now = DURABILITIES.index(old.durability), DURABILITIES.index(new.durability)
    detail = f"{old.durability} -> {new.durability}"
    if is_now < was:
        yield Change(action, version, "read", "", "durability_lowered", detail)
    if is_now > was:
        yield Change(action, version, "write", "", "durability_raised", detail)
    for finding in differences(old.read, new.read):
        yield Change(action, version, "read", *finding)
    for finding in differences(old.write, new.write):
        yield Change(action, version, "write", *finding)
