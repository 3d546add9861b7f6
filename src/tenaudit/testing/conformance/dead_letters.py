"""What every store of dead letters keeps to, as a suite that a third party's can run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tenaudit.audit.consumer import DeadLetter, DeadLetterBounds, DeadLettersFull, Partition, SourceRecord
from tenaudit.errors import ConfigurationError
from tenaudit.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer import DeadLetterStore

__all__ = ["DeadLetterConformance"]

_PLACE = Partition("audit.events", 3)
_EVERY_BYTE = bytes(range(256))
_RECORDS = (
    SourceRecord(_PLACE, 0, None),
    SourceRecord(_PLACE, 1, b""),
    SourceRecord(_PLACE, 2, _EVERY_BYTE, b"", ()),
    SourceRecord(_PLACE, 3, b"{", _EVERY_BYTE, (("é \0 \udcff", _EVERY_BYTE), ("", None), ("", b""))),
    SourceRecord(Partition("A.b-c_d", 2**31 - 1), 2**63 - 1, b"[", None, (), 2**63 - 1),
    SourceRecord(_PLACE, 4, b"]", None, (("h", None),), 0),
)
_TOO_LARGE: tuple[tuple[dict[str, Any], Callable[[SourceRecord], bool]], ...] = (
    ({"value": b"x" * (2**20 + 1)}, lambda record: record.value == b"x" * 65536),
    ({"key": b"k" * 1025}, lambda record: record.key == b"k" * 1024),
    ({"headers": (("h", b""),) * 65}, lambda record: len(record.headers) == 64),
    ({"headers": (("a", b"1"), ("b", b"x" * 16384))}, lambda record: record.headers == (("a", b"1"),)),
)


class DeadLetterConformance(ABC):
    """Proves a store of dead letters; subclass it as `class TestMyDeadLetters(DeadLetterConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
        >>> class TestSqlite(DeadLetterConformance):
        ...     async def open_letters(self, folder, bounds, clock):
        ...         return await SqliteDeadLetters(folder / "dead.db", bounds=bounds, clock=clock)
    """

    @abstractmethod
    async def open_letters(self, folder: Path, bounds: DeadLetterBounds | None, clock: Clock | None) -> DeadLetterStore:
        """Open the letters of a test; a second call within it finds what the first one has kept."""

    def _run(
        self,
        folder: Path,
        case: Callable[[DeadLetterStore], Awaitable[None]],
        bounds: DeadLetterBounds | None = None,
        clock: Clock | None = None,
    ) -> None:
        async def main() -> None:
            async with await self.open_letters(folder, bounds, clock) as letters:
                await case(letters)

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_keeps_a_record_once_and_counts_it_when_it_comes_again(self, tmp_path: Path) -> None:
        """Position and value name a record; the reason and the time are the last ones."""
        clock = ManualClock()
        first = clock.time_ns() / 1e9

        async def case(letters: DeadLetterStore) -> None:
            await letters.put(_poison(7), "not_json")
            clock.advance(5)
            await letters.put(_poison(7), "invalid_event")
            await letters.put(_poison(8, None), "empty")
            seven, eight = await letters.page()
            wanted = DeadLetter(seven.id, _PLACE, 7, "invalid_event", 1, True, first, first + 5, 2, 0)
            assert seven == wanted
            assert (eight.offset, eight.size, eight.times_seen) == (8, None, 1)
            assert await letters.get(seven.id) == seven

        self._run(tmp_path, case, clock=clock)

    def test_a_topic_that_was_made_again_does_not_hide_behind_the_old_one(self, tmp_path: Path) -> None:
        """The same position with another value is another record."""

        async def case(letters: DeadLetterStore) -> None:
            await letters.put(_poison(7, b"{"), "not_json")
            await letters.put(_poison(7, b"["), "not_json")
            assert [record.value for record in await _records(letters)] == [b"{", b"["]

        self._run(tmp_path, case)

    def test_a_record_comes_back_as_it_came(self, tmp_path: Path) -> None:
        """Every byte of value, key and headers, and the time."""

        async def case(letters: DeadLetterStore) -> None:
            for record in _RECORDS:
                await letters.put(record, "not_json")
            for letter, record in zip(await letters.page(), _RECORDS, strict=True):
                assert letter.is_whole
                assert letter.size == (None if record.value is None else len(record.value))
                assert await letters.record(letter.id) == record

        self._run(tmp_path, case)

    def test_what_is_too_large_is_cut_and_called_so(self, tmp_path: Path) -> None:
        """64 KiB of a value that no consumer takes, 1 KiB of a key, 64 headers and 16 KiB of them."""

        async def case(letters: DeadLetterStore) -> None:
            for offset, (fields, is_kept) in enumerate(_TOO_LARGE):
                record = SourceRecord(_PLACE, offset, **{"value": b"{"} | fields)
                await letters.put(record, "too_large")
                letter = (await letters.page())[-1]
                assert (letter.is_whole, letter.size) == (False, len(record.value or b""))
                assert is_kept((await _records(letters))[-1])

        self._run(tmp_path, case)

    def test_the_largest_record_that_a_consumer_takes_is_whole(self, tmp_path: Path) -> None:
        """1 MiB of any bytes."""

        async def case(letters: DeadLetterStore) -> None:
            value = bytes(range(256)) * 4096
            await letters.put(_poison(1, value), "not_json")
            assert [letter.is_whole for letter in await letters.page()] == [True]
            assert [record.value for record in await _records(letters)] == [value]

        self._run(tmp_path, case)

    def test_text_that_is_no_text_holds_up_nothing(self, tmp_path: Path) -> None:
        """A lone surrogate and U+0000 become `?`, and what is too long is cut."""

        async def case(letters: DeadLetterStore) -> None:
            await letters.put(SourceRecord(Partition("a\udcff\0", 0), 1, b""), "why \udcff" + "y" * 300)
            (letter,) = await letters.page()
            assert (letter.partition.topic, letter.reason) == ("a??", "why ?" + "y" * 245)

        self._run(tmp_path, case)

    def test_pages_go_on_where_the_last_one_ended(self, tmp_path: Path) -> None:
        """In the order in which the letters came."""

        async def case(letters: DeadLetterStore) -> None:
            for offset in range(7):
                await letters.put(_poison(offset), "not_json")
            found, page = [], await letters.page(limit=3)
            while page:
                found += [letter.offset for letter in page]
                page = await letters.page(limit=3, after=page[-1].id)
            assert found == list(range(7))
            for limit in (0, 1001):
                assert "limit" in await _refusal(letters.page(limit=limit), ConfigurationError)
            assert await letters.page(after=2**70) == ()

        self._run(tmp_path, case)

    def test_a_letter_is_refused_again_or_deleted_and_its_id_is_not_given_out_twice(self, tmp_path: Path) -> None:
        """An id that is not there is no letter, and no error."""

        async def case(letters: DeadLetterStore) -> None:
            await letters.put(_poison(1), "not_json")
            await letters.put(_poison(2), "not_json")
            one, two = await letters.page()
            await letters.refused(one.id, "invalid_event")
            seen = await letters.get(one.id)
            assert seen is not None
            assert (seen.reason, seen.replays) == ("invalid_event", 1)
            assert await letters.delete(two.id)
            assert not await letters.delete(two.id)
            await letters.put(_poison(3), "not_json")
            _, three = await letters.page()
            assert (three.offset, three.id > two.id) == (3, True)
            for missing in (0, two.id, -1, 2**70):
                assert await letters.get(missing) is None
                assert await letters.record(missing) is None
                assert not await letters.delete(missing)

        self._run(tmp_path, case)

    def test_two_that_put_the_same_at_once_keep_it_once(self, tmp_path: Path) -> None:
        """Nothing is lost, nothing is kept twice."""

        async def case(letters: DeadLetterStore) -> None:
            async with await self.open_letters(tmp_path, None, None) as other:
                puts = [each.put(_poison(n), "not_json") for n in range(20) for each in (letters, other)]
                await asyncio.gather(*puts)
            assert sorted((letter.offset, letter.times_seen) for letter in await letters.page()) == [
                (n, 2) for n in range(20)
            ]

        self._run(tmp_path, case)

    def test_the_bound_of_letters_holds_also_for_two_at_once(self, tmp_path: Path) -> None:
        """What has no room is refused and nothing is dropped; what is there may come again; deleting makes room."""
        bounds = DeadLetterBounds(letters=5)

        async def case(letters: DeadLetterStore) -> None:
            async with await self.open_letters(tmp_path, bounds, None) as other:
                puts = [each.put(_poison(n + 10 * k), "x") for n in range(5) for k, each in enumerate((letters, other))]
                done = await asyncio.gather(*puts, return_exceptions=True)
            assert [type(one) for one in done if one is not None] == [DeadLettersFull] * 5
            kept = await letters.page()
            assert len(kept) == (await letters.totals()).letters == 5
            await letters.put(_poison(kept[0].offset), "again")
            assert "5 of 5" in await _refusal(letters.put(_poison(99), "x"), DeadLettersFull)
            await letters.delete(kept[1].id)
            await letters.put(_poison(99), "x")
            assert [letter.offset for letter in await letters.page()] == [
                kept[0].offset,
                *(letter.offset for letter in kept[2:]),
                99,
            ]

        self._run(tmp_path, case, bounds)

    def test_the_bound_of_bytes_holds(self, tmp_path: Path) -> None:
        """Keys, headers and values count as they are kept."""
        bounds = DeadLetterBounds(bytes=2 * 2**20)

        async def case(letters: DeadLetterStore) -> None:
            assert await letters.totals() == (0, 0)
            key, headers = b"k" * 8, (("h", b"1"),)
            record = SourceRecord(_PLACE, 1, b"x" * 2**20, key, headers)
            await letters.put(record, "x")
            assert await letters.totals() == (1, 2**20 + 8 + len('[["h", "MQ=="]]'))
            await letters.put(_poison(2, None), "x")
            refusal = await _refusal(letters.put(_poison(3, b"x" * 2**20), "x"), DeadLettersFull)
            assert "2 of 10000, with 1048601 of 2097152 bytes" in refusal
            await letters.put(_poison(3, b"x" * 2**19), "x")
            assert (await letters.totals()).letters == len(await letters.page())

        self._run(tmp_path, case, bounds)

    def test_what_is_kept_is_there_after_closing(self, tmp_path: Path) -> None:
        """Closing twice is harmless."""

        async def case(letters: DeadLetterStore) -> None:
            await letters.put(_poison(1), "not_json")
            await letters.close()
            await letters.close()
            async with await self.open_letters(tmp_path, None, None) as again:
                assert [record.offset for record in await _records(again)] == [1]

        self._run(tmp_path, case)


def _poison(offset: int, value: bytes | None = b"{") -> SourceRecord:
    return SourceRecord(_PLACE, offset, value)


async def _records(letters: DeadLetterStore) -> list[SourceRecord]:
    records = [await letters.record(letter.id) for letter in await letters.page()]
    return [record for record in records if record is not None]


async def _refusal(call: Awaitable[object], kind: type[Exception]) -> str:
    """Return what a call that must be refused is told."""
    try:
        await call
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was not raised")
