"""Existing audit logs as events: one importer a format, found by its name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit.audit.importers.cloudevents import CloudEventsImporter
from tenaudit.audit.importers.cloudtrail import ACCOUNT_NAMESPACE, CloudTrailImporter, tenant_of_account
from tenaudit.audit.importers.github import ORGANIZATION_NAMESPACE, GitHubImporter, tenant_of_organization
from tenaudit.audit.importers.importer import BrokenFile, Found, Importer, LineImporter, Passed, Refused
from tenaudit.audit.importers.json_documents import documents, is_lines
from tenaudit.audit.importers.kubernetes import KubernetesImporter
from tenaudit.audit.importers.loader import Loader
from tenaudit.audit.importers.names import snake_case
from tenaudit.audit.importers.report import ImportProblem, ImportReport
from tenaudit.audit.importers.storable import storable
from tenaudit.audit.importers.wire import WireImporter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACCOUNT_NAMESPACE",
    "FORMATS",
    "ORGANIZATION_NAMESPACE",
    "BrokenFile",
    "CloudEventsImporter",
    "CloudTrailImporter",
    "Found",
    "GitHubImporter",
    "ImportProblem",
    "ImportReport",
    "Importer",
    "KubernetesImporter",
    "LineImporter",
    "Loader",
    "Passed",
    "Refused",
    "WireImporter",
    "documents",
    "is_lines",
    "snake_case",
    "storable",
    "tenant_of_account",
    "tenant_of_organization",
]

_IMPORTERS: tuple[Importer, ...] = (
    CloudEventsImporter(),
    CloudTrailImporter(),
    GitHubImporter(),
    KubernetesImporter(),
    WireImporter(),
)

FORMATS: Mapping[str, Importer] = MappingProxyType({importer.name: importer for importer in _IMPORTERS})
"""Every format that can be imported, by the name that `--format` takes."""
