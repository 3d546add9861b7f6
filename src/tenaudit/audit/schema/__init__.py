"""Typed payloads: which fields an action's events carry, checked when they are emitted and comparable over time."""

from tenaudit.audit.schema.change import Change
from tenaudit.audit.schema.check import InvalidPayload
from tenaudit.audit.schema.compare import compare_schemas
from tenaudit.audit.schema.declared import Durability, EventType
from tenaudit.audit.schema.registry import DEFAULT_REGISTRY, PayloadCheck, SchemaRegistry, event_type
from tenaudit.audit.schema.rules import RULES, Rule, Verdict

__all__ = [
    "DEFAULT_REGISTRY",
    "RULES",
    "Change",
    "Durability",
    "EventType",
    "InvalidPayload",
    "PayloadCheck",
    "Rule",
    "SchemaRegistry",
    "Verdict",
    "compare_schemas",
    "event_type",
]
