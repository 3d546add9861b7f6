"""What the spool's tests share: numbered events, and a way to take everything out."""

from __future__ import annotations

from uuid import UUID

from tenaudit.audit import AuditEvent

FIRST_MS = 1_700_000_000_000


def event(number: int, text: str = "") -> AuditEvent:
    """Return event *number*; its id's time is that many milliseconds after `FIRST_MS`."""
    event_id = ((FIRST_MS + number) << 80) | (0x7 << 76) | (0x2 << 62) | number
    return AuditEvent(
        event_id=UUID(int=event_id),
        tenant_id=UUID(int=1),
        occurred_at="2024-07-12T00:00:00.000001Z",
        action="order.created",
        service="orders",
        payload={"n": number, "t": text},
        producer_id="orders-1",
        seq=number,
    )


def events(first: int, stop: int, text: str = "") -> list[AuditEvent]:
    """Return events *first* to before *stop*."""
    return [event(number, text) for number in range(first, stop)]


async def drained(spool, limit: int = 500) -> list[int]:
    """Take everything out and return the numbers, in the order they came."""
    numbers: list[int] = []
    while batch := await spool.read(limit):
        numbers += [one.payload["n"] for one in batch.events]
        await spool.ack(batch.token)
    return numbers
