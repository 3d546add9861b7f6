"""What operators ask of a service: its metrics and its health, without a framework."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from tenaudit.errors import Accept, ApiError, Reply
from tenaudit.errors.instruments import is_multiprocess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenaudit.gate.gate import Gate

__all__ = ["health_reply", "metrics_reply"]

_log = logging.getLogger("tenaudit.gate")
_TEXT = "text/plain"
_JSON = "application/json"
_OPEN_METRICS = "application/openmetrics-text"


def metrics_reply(gate: Gate, accept: str = "") -> Reply:
    """Answer `GET /internal/metrics`: Prometheus text, OpenMetrics or JSON, whichever *accept* wants most.

    OpenMetrics alone shows exemplars. Under prometheus-client's multiprocess mode the answer is of all workers. Who
    accepts none of the three gets Prometheus text: a scrape that is refused helps nobody (RFC 9110 section 12.4.1).

    Raises:
        ApiError: 503 `unavailable`: a collector failed, or a file that workers share cannot be read.
    """
    ranges = Accept(accept)
    # A name counts more than a range, and among names the richer format; a bare "*/*" is no wish for either.
    named = [kind for kind in (_OPEN_METRICS, _JSON) if ranges.names(kind)]
    kind = ranges.best(*named, _TEXT) or _TEXT
    try:
        try:
            return _metrics(_registry(gate), kind)
        except Exception:
            # Once more, where a worker that is being started may just have made its file.
            if not is_multiprocess():
                raise
            return _metrics(_registry(gate), kind)
    except Exception as error:
        # A collector may raise anything, and a worker that died while it wrote leaves a file that nobody can read.
        _log.exception("metrics cannot be collected", extra={"action": "metrics_failed", "service": gate.service})
        raise ApiError.unavailable("The metrics cannot be collected; the log says why.", retry_after=1) from error


def _metrics(registry: CollectorRegistry, kind: str) -> Reply:
    if kind == _JSON:
        samples = {"samples": list(_samples(registry))}
        return _reply(200, _JSON, json.dumps(samples, separators=(",", ":"), allow_nan=False).encode())
    # The encoder is asked for by its plain name: it would repeat a client's own version in the answer, or fail on it.
    encode, content_type = choose_encoder(_OPEN_METRICS if kind == _OPEN_METRICS else "")
    return _reply(200, content_type, encode(registry))


def _registry(gate: Gate) -> CollectorRegistry:
    if not is_multiprocess():
        return gate.registry or REGISTRY
    # A registry of its own: the one that the families are in knows this worker's values only.
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _samples(registry: CollectorRegistry) -> Iterator[dict[str, Any]]:
    for family in registry.collect():
        for sample in family.samples:
            # JSON has no word for these; they read as in Prometheus text.
            value = sample.value if math.isfinite(sample.value) else _NOT_FINITE.get(sample.value, "NaN")
            yield {"name": sample.name, "labels": sample.labels, "value": value}


_NOT_FINITE = {math.inf: "+Inf", -math.inf: "-Inf"}


def health_reply(gate: Gate) -> Reply:
    """Answer `GET /internal/health`: alive, and ready unless the audit queue is full."""
    queue = gate.producer.stats().queued if gate.producer is not None else 0
    capacity = gate.producer.capacity if gate.producer is not None else 1
    ready = queue < capacity
    body = {"live": True, "ready": ready, "audit_queue": {"depth": queue, "capacity": capacity}}
    return _reply(200 if ready else 503, _JSON, json.dumps(body, separators=(",", ":")).encode())


def _reply(status: int, kind: str, body: bytes) -> Reply:
    return Reply(status, (("content-type", kind), ("content-length", str(len(body)))), body)
