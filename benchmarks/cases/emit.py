"""What one audit event costs its caller, from the call until it returns.

Every side records the same payment: action, tenant, actor and its type, trace, service, resource, outcome and a
payload of two fields. Nobody delivers inside the timed stretch; each queue is drained after it.

Ours: `AuditProducer.emit` with a bound context. It checks the limits, copies the payload and makes an id and a
    sequence number, which no peer does. The producer is started but its loop rests, like a queue whose listener
    runs in another thread; the sink behind it takes and forgets.
queuehandler: a stdlib logger with a `QueueHandler` on a `queue.Queue`, the fields through `extra=`.
structlog: rendered to JSON by the caller, since that is its design, and handed to a logger that drops it. The
    tenant, actor and trace are bound beforehand. A third-party JSON encoder would make it faster.
opentelemetry: `Logger.emit` into a `BatchLogRecordProcessor` whose queue is large enough not to wake its thread.

Not shown: delivery. Building, serializing and sending happen later on three of the four sides, in the same process
and so on its CPU; ours puts off the most, and building the event there costs several times what the call does.
Nor many threads at once, or a full queue.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from itertools import repeat
from logging.handlers import QueueHandler
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from benchmarks.paused_producer import MOST_WAITING, paused_producer
from benchmarks.peer import Peer, installed
from benchmarks.result import TimesBetter, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CONTEXT
from tenaudit.security import bind_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_SERVICE = "payments"
_TENANT = str(CONTEXT.tenant_id)
_ACTOR = CONTEXT.actor.id
_ACTOR_TYPE = CONTEXT.actor.type
_TRACE = CONTEXT.trace.trace_id


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the one result."""
    with ExitStack() as stack:
        sides = [
            _ours(stack),
            _queuehandler(stack),
            *installed(
                [
                    Peer("structlog", "structlog", _structlog),
                    Peer("opentelemetry", "opentelemetry-sdk", lambda: _opentelemetry(stack)),
                ],
                note,
            ),
        ]
        yield compare("emit", measure(sides, plan), unit="us", scale=1e6, targets=[TimesBetter(3, "queuehandler")])


def _ours(stack: ExitStack) -> Contender:
    paused = stack.enter_context(paused_producer(CollectorRegistry()))
    stack.enter_context(bind_context(CONTEXT))
    emit = paused.producer.emit

    def run(count: int) -> None:
        for _ in repeat(None, count):
            emit(
                "payment.processed",
                resource_type="payment",
                resource_id="p-1",
                payload={"amount": 1999, "currency": "EUR"},
                outcome="success",
                severity="info",
            )

    return Contender("ours", run, paused.drain, MOST_WAITING)


def _queuehandler(stack: ExitStack) -> Contender:
    queue: Queue[logging.LogRecord] = Queue()
    handler = QueueHandler(queue)
    logger = logging.getLogger("benchmarks.emit")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    stack.callback(logger.removeHandler, handler)
    info = logger.info

    def run(count: int) -> None:
        for _ in repeat(None, count):
            info(
                "payment.processed",
                extra={
                    "tenant_id": _TENANT,
                    "actor_id": _ACTOR,
                    "actor_type": _ACTOR_TYPE,
                    "trace_id": _TRACE,
                    "service": _SERVICE,
                    "resource_type": "payment",
                    "resource_id": "p-1",
                    "outcome": "success",
                    "payload": {"amount": 1999, "currency": "EUR"},
                },
            )

    def drain() -> None:
        try:
            while True:
                queue.get_nowait()
        except Empty:
            return

    return Contender("queuehandler", run, drain, MOST_WAITING)


def _structlog() -> Contender:
    import structlog
    from structlog.testing import ReturnLogger

    logger = structlog.wrap_logger(
        ReturnLogger(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    info = logger.bind(
        tenant_id=_TENANT, actor_id=_ACTOR, actor_type=_ACTOR_TYPE, trace_id=_TRACE, service=_SERVICE
    ).info

    def run(count: int) -> None:
        for _ in repeat(None, count):
            info(
                "payment.processed",
                resource_type="payment",
                resource_id="p-1",
                outcome="success",
                payload={"amount": 1999, "currency": "EUR"},
            )

    return Contender("structlog", run)


def _opentelemetry(stack: ExitStack) -> Contender:
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
    from opentelemetry.sdk.resources import Resource

    class NullExporter(LogRecordExporter):
        def export(self, batch: Sequence[Any]) -> LogRecordExportResult:  # noqa: ARG002 - forgets what it is given
            return LogRecordExportResult.SUCCESS

        def shutdown(self) -> None:
            """Close nothing."""

        def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - holds nothing back
            return True

    provider = LoggerProvider(Resource({"service.name": _SERVICE}), shutdown_on_exit=False)
    stack.callback(provider.shutdown)
    room = 2 * MOST_WAITING
    provider.add_log_record_processor(
        BatchLogRecordProcessor(
            NullExporter(), schedule_delay_millis=3_600_000, max_export_batch_size=room, max_queue_size=room
        )
    )
    emit = provider.get_logger("benchmarks.emit").emit

    def run(count: int) -> None:
        for _ in repeat(None, count):
            emit(
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                event_name="payment.processed",
                body={"amount": 1999, "currency": "EUR"},
                attributes={
                    "tenant_id": _TENANT,
                    "actor_id": _ACTOR,
                    "actor_type": _ACTOR_TYPE,
                    "trace_id": _TRACE,
                    "resource_type": "payment",
                    "resource_id": "p-1",
                    "outcome": "success",
                },
            )

    return Contender("opentelemetry", run, provider.force_flush, MOST_WAITING)
