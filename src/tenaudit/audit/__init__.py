"""Audit: events that are complete, durable, queryable, redacted by role and tamper-evident."""

from tenaudit.audit.event import AuditEvent
from tenaudit.audit.outcomes import DeliveryUnknown, EmitRejected, EmitResult, ProducerStats
from tenaudit.audit.parameters import query_from_parameters
from tenaudit.audit.ports import (
    AppendResult,
    Page,
    Problem,
    Sink,
    SinkRejected,
    SinkUnavailable,
    Store,
    StoreError,
    VerifyReport,
)
from tenaudit.audit.producer import AuditProducer
from tenaudit.audit.query import AuditQuery, InvalidCursor, InvalidQuery
from tenaudit.audit.redaction import Redactor, redact_event_fields
from tenaudit.audit.view import event_view

__all__ = [
    "AppendResult",
    "AuditEvent",
    "AuditProducer",
    "AuditQuery",
    "DeliveryUnknown",
    "EmitRejected",
    "EmitResult",
    "InvalidCursor",
    "InvalidQuery",
    "Page",
    "Problem",
    "ProducerStats",
    "Redactor",
    "Sink",
    "SinkRejected",
    "SinkUnavailable",
    "Store",
    "StoreError",
    "VerifyReport",
    "event_view",
    "query_from_parameters",
    "redact_event_fields",
]
