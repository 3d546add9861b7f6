"""What operators ask of a service: its metrics and its health, without a framework."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from tenaudit.errors import Reply

if TYPE_CHECKING:
    from tenaudit.gate.gate import Gate

__all__ = ["health_reply", "metrics_reply"]


def metrics_reply(gate: Gate, accept: str = "") -> Reply:
    """Answer `GET /internal/metrics`: Prometheus text, or JSON when *accept* asks for it."""
    registry = gate.registry or REGISTRY
    if "application/json" in accept.lower():
        samples = [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for family in registry.collect()
            for sample in family.samples
        ]
        return _reply(200, "application/json", json.dumps({"samples": samples}, separators=(",", ":")).encode())
    return _reply(200, CONTENT_TYPE_LATEST, generate_latest(registry))


def health_reply(gate: Gate) -> Reply:
    """Answer `GET /internal/health`: alive, and ready unless the audit queue is full."""
    queue = gate.producer.stats().queued if gate.producer is not None else 0
    capacity = gate.producer.capacity if gate.producer is not None else 1
    ready = queue < capacity
    body = {"live": True, "ready": ready, "audit_queue": {"depth": queue, "capacity": capacity}}
    return _reply(200 if ready else 503, "application/json", json.dumps(body, separators=(",", ":")).encode())


def _reply(status: int, kind: str, body: bytes) -> Reply:
    return Reply(status, (("content-type", kind), ("content-length", str(len(body)))), body)
