"""`GET /audit/tail`: events as they arrive, as server-sent events (WHATWG HTML section 9.2).

An answer begins with an `id:`, and so does every event: the signed position in the order of arrival. A client that
sends the last one back as `Last-Event-ID` goes on right behind it, over reconnects and restarts, and gets nothing
twice. The store is asked again and again, seldom while nothing comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.audit.filters import filters_of
from tenaudit.audit.follow import Follows
from tenaudit.audit.parameters import TAIL_PARAMETERS, query_of, read_parameters
from tenaudit.audit.turns import Turns
from tenaudit.errors import ApiError
from tenaudit.gate.open_tails import open_tails_of
from tenaudit.gate.stream import StreamedReply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent, AuditQuery
    from tenaudit.gate.audit_cursors import AuditCursors
    from tenaudit.gate.audit_reader import AuditReader
    from tenaudit.gate.open_tails import TailSettings
    from tenaudit.security import SecurityContext

__all__ = ["AuditTail"]

_log = logging.getLogger("tenaudit.gate")
_HEADER = "Last-Event-ID"
_BATCH = 100
_RETRY_MS = 2000
_HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    # What proxies hold back would come in lumps.
    ("x-accel-buffering", "no"),
)


@dataclass(frozen=True, slots=True)
class AuditTail:
    """Follows one store for many clients.

    Args:
        reader: whose eyes see what.
        cursors: signs positions.
        settings: the bounds.
        clock: tells when an answer ends.
        wait: sleeps for some seconds.
    """

    reader: AuditReader
    cursors: AuditCursors
    settings: TailSettings
    clock: Clock
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def reply(
        self, context: SecurityContext, parameters: Iterable[tuple[str, str]], last_event_id: str | None
    ) -> StreamedReply:
        """Return the answer; from now on without a *last_event_id*, else from behind it.

        Raises:
            ApiError: 400 `invalid_parameter` or `invalid_cursor`, 404 `not_found` for a store that cannot be followed,
                503 `unavailable` for one that fails or when enough clients follow.
        """
        store = self.reader.store
        if not isinstance(store, Follows):
            raise ApiError.not_found("This store cannot be followed.")
        query = query_of(context.tenant_id, read_parameters(parameters, TAIL_PARAMETERS))
        after = None if not last_event_id else self.cursors.position_of(query, last_event_id, _HEADER)
        newest = await self.reader.ask(store.newest_position(context.tenant_id))
        if after is not None and after > newest:
            wrong = {"field": _HEADER, "reason": "other_store", "message": "is not of this store"}
            raise ApiError.bad_request(
                "The cursor is not good for this request.", code="invalid_cursor", errors=[wrong]
            )
        tails, settings = open_tails_of(self.reader.gate), self.settings
        tails.enter(context.tenant_id, settings)
        following = _Following(self, store, context, query, newest if after is None else after)
        return StreamedReply(
            200,
            _HEADERS,
            following.body(),
            step_seconds=settings.heartbeat + settings.slowest + self.reader.deadline,
            on_close=lambda: tails.leave(context.tenant_id),
        )


@dataclass(slots=True)
class _Following:
    """One client's place in the log."""

    tail: AuditTail
    store: Follows
    context: SecurityContext
    query: AuditQuery
    position: int
    unredacted: int = 0

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Make the answer until its time is up, or the store fails: the client comes back in either case."""
        tail = self.tail
        settings, clock = tail.settings, tail.clock
        ends = clock.monotonic() + settings.lifetime
        told, spoke, pause = self.position, clock.monotonic(), settings.fastest
        try:
            yield b"retry: %d\n%s\n" % (_RETRY_MS, self._id(self.position))
            while (now := clock.monotonic()) < ends:
                before = self.position
                frames, more = await self._frames()
                if frames or now - spoke >= settings.heartbeat:
                    # A comment alone, or with the place that was reached without finding anything to show.
                    yield frames or b":\n%s\n" % (self._id(self.position) if told != self.position else b"")
                    told, spoke = self.position, clock.monotonic()
                pause = settings.fastest if before != self.position else min(pause * 2, settings.slowest)
                await tail.wait(0.0 if more else min(pause, settings.heartbeat))
        except ApiError:
            extra = {"action": "audit_tail_broken", "trace_id": self.context.trace.trace_id}
            _log.warning("the store failed while it was followed; the client is to come back", extra=extra)
        finally:
            if self.unredacted:
                self._record()

    async def _frames(self) -> tuple[bytes, bool]:
        """Go on behind the next events; return what is to be sent of them, and whether more may be waiting."""
        reader, query = self.tail.reader, self.query
        found: Sequence[tuple[int, AuditEvent]] = await reader.ask(
            self.store.follow(query.tenant_id, self.position, _BATCH)
        )
        may_unredact = reader.may_unredact(self.context)
        asked = reader.asked(query, may_unredact=may_unredact)
        frames, turns = bytearray(), Turns()
        for position, event in found:
            # A look at a large event takes milliseconds.
            await turns.taken()
            if asked.finds(event):
                view = reader.view(event, may_unredact=may_unredact, show_tags=query.include_redacted)
                data = json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode()
                frames += b"%sdata: %s\n\n" % (self._id(position), data)
                self.unredacted += may_unredact
            self.position = position
        return bytes(frames), len(found) == _BATCH

    def _id(self, position: int) -> bytes:
        cursor = self.tail.cursors.position(self.query, position)
        return b"id: %s\n" % cursor.encode()

    def _record(self) -> None:
        told = {"tail": True, "events": self.unredacted, "filters": filters_of(self.query)}
        self.tail.reader.record(self.context, "audit.read_unredacted", told, severity="security")
