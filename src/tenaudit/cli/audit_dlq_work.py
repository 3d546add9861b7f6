"""One dead letter after the other into a store, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit import SinkRejected
from tenaudit.audit.consumer import BadRecord, decode_event

if TYPE_CHECKING:
    from tenaudit.audit import AppendResult, RedactionPolicy, Store
    from tenaudit.audit.consumer import DeadLetter, DeadLetterStore, SourceRecord

__all__ = ["Replay"]

_MOST_PROBLEMS = 100
# What lies in the event: the consumer buries these, so a replay meets them too.
_DATA_ERRORS = (SinkRejected, ValueError, TypeError, OverflowError, RecursionError)


class Replay:
    """Decodes dead letters again, stores their events, and deletes the letters that the store has then.

    Args:
        store: where events go.
        letters: where the dead letters are.
        redaction: what is taken out of an event before it is stored.

    Attributes:
        stored: how many events are new in the store.
        duplicates: how many were there.
        refused: how many letters stay.
        problems: the first hundred of these, each with its reason.

    Example:
        >>> import asyncio, tempfile
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         path = f"{folder}/audit.db"
        ...         async with SqliteStore.open(path) as store, SqliteDeadLetters(path) as letters:
        ...             return Replay(store, letters).to_json()
        >>> asyncio.run(main())["refused"]
        0
    """

    def __init__(self, store: Store, letters: DeadLetterStore, redaction: RedactionPolicy | None = None) -> None:
        self._store = store
        self._letters = letters
        self._redaction = redaction
        self.stored = 0
        self.duplicates = 0
        self.refused = 0
        self.problems: list[tuple[DeadLetter, str]] = []

    async def take(self, letter: DeadLetter) -> None:
        """Replay one; nothing happens when it is gone.

        Raises:
            StoreError: the store or the place of the dead letters failed.
        """
        record = await self._letters.record(letter.id)
        if record is None:
            return
        try:
            result = await self._append(letter, record)
        except BadRecord as bad:
            await self._refuse(letter, bad.reason)
        except _DATA_ERRORS:
            await self._refuse(letter, "refused_by_store")
        else:
            self.stored += result.stored
            self.duplicates += result.duplicates
            if result.stored or result.duplicates:
                await self._letters.delete(letter.id)
            else:
                await self._refuse(letter, "conflict" if result.conflicts else "expired")

    async def _append(self, letter: DeadLetter, record: SourceRecord) -> AppendResult:
        if not letter.is_whole:
            raise BadRecord("too_large")
        event = decode_event(record.value, record.headers)
        return await self._store.append([event if self._redaction is None else self._redaction.written(event)])

    async def _refuse(self, letter: DeadLetter, reason: str) -> None:
        await self._letters.refused(letter.id, reason)
        self.refused += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append((letter, reason))

    def to_json(self) -> dict[str, Any]:
        """Return `{"stored", "duplicates", "refused", "problems", "problems_omitted"}`."""
        return {
            "stored": self.stored,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "problems": [{"id": letter.id, "reason": reason} for letter, reason in self.problems],
            "problems_omitted": self.refused - len(self.problems),
        }
