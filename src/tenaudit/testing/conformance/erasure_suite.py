"""What the cases of erasure have in common: a person, events of theirs and of others, and a store that is closed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from tenaudit.audit.erasure.ports import ErasureStore
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.retention.ports import RetentionStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.retention_suite import NOW, aged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent

__all__ = ["ALICE", "IP", "MAIL", "ErasureSuite", "ForgettingStore", "hers", "of_others"]

ALICE = 'alice\u00e9 "o\'\\neill" /~1'
IP = "192.0.2.77"
MAIL = "alice@example.com"
_PERSONAL = PersonalFields(["resource_id", "payload.users[*].email", "payload.card"])


class ForgettingStore(RetentionStore, ErasureStore, Protocol):
    """A store that keeps events for a time and forgets persons."""


def hers(number: int, **fields: object) -> AuditEvent:
    """Return event *number* as one that the person did."""
    payload = {"client_ip": IP, "card": {"number": "4111", "of": [ALICE]}, "note": f"kept {number}"}
    return aged(number, 10, **{"actor_id": ALICE, "resource_id": "account-1", "payload": payload} | fields)


def of_others(number: int) -> AuditEvent:
    """Return event *number* as one that another did, and that names the person."""
    users = [{"email": MAIL, "role": "admin"}, {"email": ALICE, "role": "member"}]
    return aged(number, 10, actor_id="bob", resource_id=ALICE, payload={"client_ip": "192.0.2.1", "users": users})


class ErasureSuite(ABC):
    """Opens the store of a suite for one case, and closes it."""

    @abstractmethod
    async def open_store(self, folder: Path, clock: Clock, personal: PersonalFields) -> ForgettingStore:
        """Return a store that was made empty for the test; *folder* is the test's own."""

    def _run(self, folder: Path, case: Callable[[ForgettingStore], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder, ManualClock(NOW.timestamp()), _PERSONAL)
            try:
                await case(store)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))
