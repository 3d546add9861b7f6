"""Events as an application with some tenants, people and actions makes them, the same for the same number."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TENANTS", "events", "tenant"]

TENANTS = 20
_ACTIONS = ("order.created", "order.paid", "payment.processed", "payment.voided", "table.opened", "user.logged_in")
_SEED = 4711


def tenant(number: int) -> UUID:
    """Return one of the tenants."""
    return UUID(int=(0x7B0E4C9E6F0A4D5C8F0E << 48) | number)


def events(count: int, *, start: datetime | None = None) -> Iterator[AuditEvent]:
    """Yield events in the order of their times, one a millisecond from *start* on, by default from now."""
    chance = random.Random(_SEED)
    begin = (start or datetime.now(UTC)).replace(microsecond=123)
    first_ms = round(begin.timestamp() * 1000)
    for number in range(count):
        yield AuditEvent(
            event_id=UUID(int=((first_ms + number) << 80) | (7 << 76) | (2 << 62) | chance.getrandbits(62)),
            tenant_id=tenant(chance.randrange(TENANTS)),
            occurred_at=begin + timedelta(milliseconds=number),
            actor_id=f"user-{chance.randrange(500)}",
            actor_type="user",
            action=chance.choice(_ACTIONS),
            resource_type="order",
            resource_id=f"o-{chance.getrandbits(32):08x}",
            service="orders",
            trace_id=f"{chance.getrandbits(128):032x}",
            payload={"amount": chance.randrange(100_000), "currency": "EUR", "table": number % 40, "method": "card"},
            producer_id="orders-0123456789abcdef",
            seq=number,
        )
