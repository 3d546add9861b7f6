"""What every store that keeps events for a time keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import AuditQuery
from tenaudit.audit.retention import PurgeBusy
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent
    from tenaudit.audit.retention import RetentionStore

__all__ = ["NOW", "RetentionConformance", "aged"]

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
"""Where the suite's clock starts."""


def aged(number: int, days: float, **fields: object) -> AuditEvent:
    """Return event *number* as it would be had it occurred *days* before the suite's start.

    >>> aged(0, 40).occurred_at.date().isoformat()
    '2026-10-21'
    """
    moment = NOW - timedelta(days=days) + timedelta(milliseconds=number)
    ms = int(moment.timestamp() * 1000)
    event_id = an_event(number).event_id
    tail = event_id.int & ((1 << 80) - 1)
    return an_event(number, **{"event_id": type(event_id)(int=ms << 80 | tail), "occurred_at": moment} | fields)


class RetentionConformance(ABC):
    """Proves the retention of a store; subclass it as `class TestMyStore(RetentionConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqlite(RetentionConformance):
        ...     async def open_store(self, folder, clock):
        ...         return await SqliteStore.open(folder / "audit.db", clock=clock)
    """

    @abstractmethod
    async def open_store(self, folder: Path, clock: Clock) -> RetentionStore:
        """Return a store that was made empty for the test; *folder* is the test's own, and a second call opens it."""

    def _run(self, folder: Path, case: Callable[[RetentionStore, ManualClock], Awaitable[None]]) -> None:
        async def main() -> None:
            clock = ManualClock(NOW.timestamp())
            store = await self.open_store(folder, clock)
            try:
                await case(store, clock)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_removes_what_has_had_its_time(self, tmp_path: Path) -> None:
        """Periods count from `occurred_at`; what is kept is as it was, and the log verifies."""
        old, young = [aged(n, 31) for n in range(3)], [aged(n, 29) for n in range(3, 6)]

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([old[0], young[0], old[1], young[1], old[2], young[2]])
            await store.append([aged(9, 31, tenant_id=OTHER_TENANT)])
            await store.seal()
            report = await store.purge(by="u-purger")
            assert report.complete
            assert {one.tenant_id: one.rows for one in report.tenants} == {TENANT: 3, OTHER_TENANT: 1}
            assert await _stored(store) == young
            (record,) = (await store.search(AuditQuery(TENANT, action="audit.purged"))).events
            assert record.actor_id == "u-purger"
            assert (record.payload["rows"], record.payload["days"]) == (3, 30)
            assert record.payload["ranges"] == [[0, 0], [2, 2], [4, 4]]
            assert await _verified(store)
            again = await store.purge()
            assert (again.rows, again.complete) == (0, True)

        self._run(tmp_path, case)

    def test_the_boundary_stays(self, tmp_path: Path) -> None:
        """An event of exactly the period is kept, and one a microsecond older goes."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            limit = NOW - timedelta(days=30)
            at, older = aged(0, 30, occurred_at=limit), aged(1, 30, occurred_at=limit - timedelta(microseconds=1))
            await store.append([at, older])
            assert (await store.purge()).rows == 1
            assert await _stored(store) == [at]

        self._run(tmp_path, case)

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """It tells the counts that the purge then has."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            events = [aged(n, 40 + n) for n in range(5)]
            await store.append([*events, aged(9, 1)])
            told = await store.purge(dry_run=True)
            assert (told.dry_run, told.rows) == (True, 5)
            assert len(await _stored(store)) == 6
            assert (await store.retention()).tenants[0].purged_before is None
            assert (await store.purge()).rows == 5

        self._run(tmp_path, case)

    def test_periods_are_the_tenants_own(self, tmp_path: Path) -> None:
        """A period of a tenant goes before the default one, and the log tells who set it."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append(
                [aged(n, 10 * n, tenant_id=tenant) for tenant in (TENANT, OTHER_TENANT) for n in (1, 5, 9)]
            )
            await store.set_retention(60, tenant_id=TENANT, by="u-1")
            await store.set_retention(5, by="u-2")
            settings = await store.retention()
            assert settings.default_days == 5
            assert [one.days for one in settings.tenants] == [60, None]
            report = await store.purge()
            assert {one.tenant_id: (one.rows, one.days) for one in report.tenants} == {
                TENANT: (1, 60),
                OTHER_TENANT: (3, 5),
            }
            (told,) = (await store.search(AuditQuery(TENANT, action="audit.retention_set"))).events
            assert (told.actor_id, told.payload) == ("u-1", {"days": 60})
            await store.set_retention(None, tenant_id=TENANT, by="u-1")
            assert (await store.purge()).rows == 2
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_a_purge_can_set_the_default(self, tmp_path: Path) -> None:
        """What a purge was told is what every process goes by from then on; a dry run only counts with it."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([aged(0, 10)])
            assert (await store.purge(dry_run=True, default_days=7)).rows == 1
            assert (await store.retention()).default_days == 30
            assert (await store.purge(default_days=7)).rows == 1
            assert (await store.retention()).default_days == 7

        self._run(tmp_path, case)

    def test_a_hold_keeps_everything(self, tmp_path: Path) -> None:
        """Nothing of a held tenant goes; who, why and when is in its log, and the hold can be ended."""

        async def case(store: RetentionStore, clock: ManualClock) -> None:
            await store.append([aged(0, 99), aged(1, 99, tenant_id=OTHER_TENANT)])
            await store.hold(TENANT, reason="case 7", by="legal")
            (hold,) = await store.holds()
            assert (hold.tenant_id, hold.by, hold.reason, hold.at) == (TENANT, "legal", "case 7", NOW)
            await _refused(store.hold(TENANT, reason="again", by="legal"), "is held already")
            report = await store.purge()
            assert (report.held, report.rows) == ((TENANT,), 1)
            assert await store.get(TENANT, aged(0, 99).event_id) is not None
            clock.advance(60)
            await store.release(TENANT, reason="closed", by="legal")
            assert await store.holds() == ()
            await _refused(store.release(TENANT, reason="again", by="legal"), "is not held")
            assert (await store.purge()).rows == 1
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_a_tenant_without_events_can_be_held(self, tmp_path: Path) -> None:
        """A hold and a period may come before the first event."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.hold(TENANT, reason="case 8", by="legal")
            await store.set_retention(10, tenant_id=OTHER_TENANT)
            await store.append([aged(0, 99), aged(1, 20, tenant_id=OTHER_TENANT)])
            assert (await store.purge()).rows == 1
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_a_replay_brings_nothing_back(self, tmp_path: Path) -> None:
        """What is past its period is expired; within a longer one the leaf of what went still makes it a duplicate."""
        events = [aged(n, 40 + n) for n in range(4)]

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append(events)
            await store.purge()
            assert await store.append([*events, aged(8, 50), aged(9, 1)]) == (1, 0, 0, 5)
            await store.set_retention(365, tenant_id=TENANT)
            late = aged(7, 45)
            assert await store.append([*events, late]) == (1, 4, 0, 0)
            assert await store.append([late]) == (0, 1, 0, 0)
            assert await store.append([aged(0, 40, payload={"other": 1})]) == (0, 0, 1, 0)
            assert await _verified(store)
            await store.set_retention(30, tenant_id=TENANT)
            # It is there still, so it is no expired one.
            assert await store.append([late]) == (0, 1, 0, 0)
            assert (await store.purge()).rows == 1
            assert await store.append([late]) == (0, 0, 0, 1)

        self._run(tmp_path, case)

    def test_nothing_of_a_held_tenant_expires(self, tmp_path: Path) -> None:
        """A late event of a held tenant is stored, and a purged one is a duplicate."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([aged(0, 40)])
            await store.purge()
            await store.hold(TENANT, reason="case 9", by="legal")
            assert await store.append([aged(0, 40), aged(1, 50)]) == (1, 1, 0, 0)

        self._run(tmp_path, case)

    def test_before_the_first_purge_nothing_expires(self, tmp_path: Path) -> None:
        """Old events can be brought in, and go with the next purge."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            assert await store.append([aged(0, 4000)]) == (1, 0, 0, 0)
            assert (await store.purge(dry_run=True)).rows == 1

        self._run(tmp_path, case)

    def test_what_no_purge_had_its_turn_with_does_not_expire(self, tmp_path: Path) -> None:
        """An event past its period that is younger than all that went is stored, and goes next."""

        async def case(store: RetentionStore, clock: ManualClock) -> None:
            await store.append([aged(0, 40)])
            await store.purge()
            clock.advance(10 * 86_400)
            assert await store.append([aged(1, 25), aged(2, 35)]) == (1, 0, 0, 1)
            assert (await store.purge()).rows == 1
            assert await store.append([aged(1, 25)]) == (0, 0, 0, 1)
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_archives_before_it_removes(self, tmp_path: Path) -> None:
        """Each event that goes is in a file whose count and hash the record of the purge has."""
        events = [aged(n, 70 - 3 * n) for n in range(12)]
        folder = tmp_path / "archive"
        folder.mkdir()

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([*events, aged(20, 1)])
            report = await store.purge(archive=folder, batch=5)
            files = [file for one in report.tenants for file in one.archives]
            assert sum(file.rows for file in files) == report.rows == 12
            found = []
            for file in files:
                raw = (folder / file.name).read_bytes()
                assert hashlib.sha256(raw).hexdigest() == file.sha256
                lines = gzip.decompress(raw).decode().splitlines()
                assert len(lines) == file.rows
                found += [json.loads(line) for line in lines]
            assert sorted(found, key=lambda one: one["seq"]) == [event.record() for event in events]
            records = (await store.search(AuditQuery(TENANT, action="audit.purged"))).events
            told = [file for record in records for file in record.payload["archives"]]
            assert sorted(told, key=str) == sorted((file.to_json() for file in files), key=str)
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_stops_between_two_steps_when_its_time_is_up(self, tmp_path: Path) -> None:
        """What is left is the next purge's, and each step is told when it is done."""

        async def case(store: RetentionStore, clock: ManualClock) -> None:
            await store.append([aged(n, 40) for n in range(8)])
            removed: list[int] = []

            def taken(events: int) -> None:
                removed.append(events)
                clock.advance(6)

            report = await store.purge(batch=2, seconds=10, on_removed=taken)
            assert (report.rows, report.complete, removed) == (4, False, [2, 2])
            assert len(await _stored(store)) == 4
            again = await store.purge(batch=3)
            assert (again.rows, again.complete) == (4, True)
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_conflicts_go_with_their_time(self, tmp_path: Path) -> None:
        """The second content of an id holds personal data too."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([aged(0, 40), aged(1, 2)])
            await store.append([aged(0, 40, payload={"x": 1}), aged(1, 2, payload={"x": 1})])
            (one,) = (await store.purge()).tenants
            assert (one.rows, one.conflicts) == (1, 1)
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_two_purges_take_turns(self, tmp_path: Path) -> None:
        """Of purges and a writer at once each event goes once, nothing young goes, and the log verifies throughout."""

        async def case(store: RetentionStore, clock: ManualClock) -> None:
            await store.append([aged(n, 40) for n in range(60)])
            other = await self.open_store(tmp_path, clock)
            gone: list[int] = []

            async def purge(whose: RetentionStore) -> None:
                for _ in range(4):
                    try:
                        gone.append((await whose.purge(batch=7)).rows)
                    except PurgeBusy:
                        continue

            async def write() -> None:
                for n in range(100, 140):
                    await store.append([aged(n, 1), aged(n + 100, 35)])

            async def check() -> None:
                for _ in range(6):
                    report = await other.verify()
                    assert report.verified, report.problems[:3]

            try:
                await asyncio.gather(purge(store), purge(other), write(), check())
                gone.append((await store.purge()).rows)
            finally:
                await other.close()
            records = await _all(store, "audit.purged")
            assert sum(gone) == sum(record.payload["rows"] for record in records)
            assert len(await _stored(store)) == 40
            assert await _verified(store)

        self._run(tmp_path, case)

    def test_refuses_bad_input_by_name(self, tmp_path: Path) -> None:
        """A number or a text that cannot be is refused before anything happens, and the field is named."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            for call, field in (
                (store.purge(batch=0), "batch"),
                (store.purge(batch=10_001), "batch"),
                (store.purge(seconds=float("nan")), "seconds"),
                (store.purge(archive=tmp_path / "nowhere"), "archive"),
                (store.purge(default_days=0), "default_days"),
                (store.purge(by=""), "by"),
                (store.set_retention(0), "days"),
                (store.set_retention(36_501, tenant_id=TENANT), "days"),
                (store.set_retention(None), "days"),
                (store.set_retention(1, by="\0"), "by"),
                (store.hold(TENANT, reason=" ", by="x"), "reason"),
                (store.hold(TENANT, reason="x" * 1025, by="x"), "reason"),
                (store.release(TENANT, reason="x", by="\ud800"), "by"),
            ):
                await _refused(call, field)
            assert await store.tenants() == ()

        self._run(tmp_path, case)


async def _refused(call: Awaitable[object], words: str) -> None:
    try:
        await call
    except ConfigurationError as error:
        assert words in str(error), error  # noqa: PT017 - the suite runs without pytest
        return
    raise AssertionError(f"nothing was refused: {words}")


async def _stored(store: RetentionStore, tenant_id: UUID = TENANT) -> list[AuditEvent]:
    """Return a tenant's events but for those of retention, oldest first."""
    events = await _all(store, None, tenant_id)
    return [event for event in events if not event.action.startswith("audit.")]


async def _all(store: RetentionStore, action: str | None, tenant_id: UUID = TENANT) -> list[AuditEvent]:
    query = AuditQuery(tenant_id, action=action, order="asc", limit=500)
    page = await store.search(query)
    found = [*page.events]
    while page.next_cursor is not None:
        page = await store.search(query.at(page.next_cursor))
        found += page.events
    return found


async def _verified(store: RetentionStore) -> bool:
    await store.seal()
    report = await store.verify()
    assert report.verified, report.problems[:5]
    return True
