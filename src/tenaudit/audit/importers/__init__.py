"""Existing audit logs as events: one importer a format, found by its name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit.audit.importers.cloudtrail import ACCOUNT_NAMESPACE, CloudTrailImporter, tenant_of_account
from tenaudit.audit.importers.importer import BrokenFile, Importer, Refused
from tenaudit.audit.importers.loader import Loader
from tenaudit.audit.importers.names import snake_case
from tenaudit.audit.importers.report import ImportProblem, ImportReport
from tenaudit.audit.importers.storable import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACCOUNT_NAMESPACE",
    "FORMATS",
    "BrokenFile",
    "CloudTrailImporter",
    "ImportProblem",
    "ImportReport",
    "Importer",
    "Loader",
    "Refused",
    "snake_case",
    "storable",
    "tenant_of_account",
]

_IMPORTERS: tuple[Importer, ...] = (CloudTrailImporter(),)

FORMATS: Mapping[str, Importer] = MappingProxyType({importer.name: importer for importer in _IMPORTERS})
"""Every format that can be imported, by the name that `--format` takes."""
