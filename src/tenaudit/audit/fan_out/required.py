"""A member that must have every event: its answer is the fan-out's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenaudit.audit.fan_out.answer import OK, Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.fan_out.writer import MemberWriter

__all__ = ["write_required"]


async def write_required(writer: MemberWriter, batch: Sequence[AuditEvent]) -> Answer:
    """Bring a batch to a member within its `timeout`, without the events that it names as refused.

    What it refuses for ever must not keep the rest from it while the fan-out waits for others.
    """
    until = asyncio.get_running_loop().time() + writer.member.timeout
    refused: dict[UUID, str] = {}
    answer = OK
    left = list(batch)
    while left:
        answer = await writer.write(left, until)
        if answer.outcome != "rejected":
            break
        # One that is refused without a name is the one that was given.
        named = answer.refused or ({left[0].event_id: answer.reason} if len(left) == 1 else {})
        refused |= named
        left = [event for event in left if event.event_id not in named]
        if not named:
            break
    return answer._replace(refused=refused)
