"""Audit: events that are complete, durable, queryable, redacted by role and tamper-evident."""

from tenaudit.audit.audited import audited
from tenaudit.audit.bound_producer import BOUND_PRODUCER, bind_producer
from tenaudit.audit.checkpoint_keeper import CheckpointKeeper, CheckpointPlace
from tenaudit.audit.event import AuditEvent
from tenaudit.audit.fan_out import BreakerPolicy, FanOutMember, FanOutSink
from tenaudit.audit.outcomes import DeliveryUnknown, EmitRejected, EmitResult, ProducerStats
from tenaudit.audit.parameters import query_from_parameters
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.ports import (
    AppendResult,
    Page,
    Problem,
    Sink,
    SinkRejected,
    SinkUnavailable,
    Store,
    StoreError,
    VerifyPart,
    VerifyReport,
)
from tenaudit.audit.producer import AuditProducer
from tenaudit.audit.query import AuditQuery, InvalidCursor, InvalidQuery
from tenaudit.audit.redaction import RedactionRule, Redactor, redact_event_fields
from tenaudit.audit.redaction_policy import RedactionPolicy
from tenaudit.audit.schema import (
    DEFAULT_REGISTRY,
    Change,
    EventType,
    InvalidPayload,
    PayloadCheck,
    SchemaRegistry,
    compare_schemas,
    event_type,
)
from tenaudit.audit.spool import Spool, SpoolBatch, SpoolError, SpoolFull, SpoolStats
from tenaudit.audit.view import EventRedactor, event_view

__all__ = [
    "BOUND_PRODUCER",
    "DEFAULT_REGISTRY",
    "AppendResult",
    "AuditEvent",
    "AuditProducer",
    "AuditQuery",
    "BreakerPolicy",
    "Change",
    "CheckpointKeeper",
    "CheckpointPlace",
    "DeliveryUnknown",
    "EmitRejected",
    "EmitResult",
    "EventRedactor",
    "EventType",
    "FanOutMember",
    "FanOutSink",
    "InvalidCursor",
    "InvalidPayload",
    "InvalidQuery",
    "Page",
    "PayloadCheck",
    "PersonalFields",
    "Problem",
    "ProducerStats",
    "RedactionPolicy",
    "RedactionRule",
    "Redactor",
    "SchemaRegistry",
    "Sink",
    "SinkRejected",
    "SinkUnavailable",
    "Spool",
    "SpoolBatch",
    "SpoolError",
    "SpoolFull",
    "SpoolStats",
    "Store",
    "StoreError",
    "VerifyPart",
    "VerifyReport",
    "audited",
    "bind_producer",
    "compare_schemas",
    "event_type",
    "event_view",
    "query_from_parameters",
    "redact_event_fields",
]
