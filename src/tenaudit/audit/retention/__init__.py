"""Retention: how long events are kept, what is held, and purges that the log itself tells of."""

from tenaudit.audit.retention.job import RetentionJob
from tenaudit.audit.retention.ports import RetentionStore
from tenaudit.audit.retention.purge import PurgeOptions
from tenaudit.audit.retention.records import ArchivedFile
from tenaudit.audit.retention.report import PurgeReport, TenantPurge
from tenaudit.audit.retention.steps import PurgeBusy
from tenaudit.audit.retention.terms import DEFAULT_DAYS, Hold, RetentionSettings, TenantTerms

__all__ = [
    "DEFAULT_DAYS",
    "ArchivedFile",
    "Hold",
    "PurgeBusy",
    "PurgeOptions",
    "PurgeReport",
    "RetentionJob",
    "RetentionSettings",
    "RetentionStore",
    "TenantPurge",
    "TenantTerms",
]
