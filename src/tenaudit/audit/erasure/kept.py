"""The part of erasure that every store has in common: arguments, and a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tenaudit.audit.erasure.erase import ErasureOptions, run_erasure
from tenaudit.audit.erasure.subject import Subject
from tenaudit.audit.retention.moments import wall_time

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.erasure.report import ErasureReport
    from tenaudit.audit.erasure.steps import ErasureSteps

__all__ = ["ErasesSubjects"]


class ErasesSubjects(ABC):
    """The call of `ErasureStore`."""

    _clock: Clock

    async def erase(
        self,
        subject: str,
        *,
        tenant_id: UUID,
        dry_run: bool = False,
        by: str = "tenaudit",
        batch: int = 500,
        seconds: float = 3600.0,
    ) -> ErasureReport:
        """Take one person's values out of a tenant's trail; every leaf and every proof stays what it was.

        Of events whose actor they are, every value goes that the leaf commits to by a salted hash: the actor, the
        client's address, and what `PersonalFields` lists. Of other events it is each such value that names them.
        Kept second contents and, in PostgreSQL, dead letters that name them are deleted. The log tells which places of
        which events went, and not whose they were. Each step is a transaction, so an erasure may die anywhere, and
        the next one goes on; a second one finds nothing.

        Args:
            subject: the text that names the person.
            tenant_id: in whose trail.
            dry_run: whether it only says what would go.
            by: who asks for it; the record names them.
            batch: events of one transaction, 1 to 1000.
            seconds: how long the whole run may take; what is left then is the next one's.

        Raises:
            ConfigurationError: an argument cannot be that; it names it.
            ErasureHeld: the tenant is under a legal hold.
            StoreError: the store failed; what was done until then stays done.
        """
        person = Subject(subject)
        options = ErasureOptions(tenant_id, dry_run, by, batch, seconds)
        now = wall_time(self._clock)
        async with self._erasure_steps(person, tenant_id, by, now) as steps:
            return await run_erasure(steps, person, options, self._clock, now)

    @abstractmethod
    def _erasure_steps(
        self, subject: Subject, tenant_id: UUID, by: str, now: datetime
    ) -> AbstractAsyncContextManager[ErasureSteps]:
        """Give out the steps of an erasure."""
