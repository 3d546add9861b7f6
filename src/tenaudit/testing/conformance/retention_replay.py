"""Cases of retention that go on after a purge: replays, archives, second contents and purges at once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from typing import TYPE_CHECKING

from tenaudit.audit import AuditQuery, SinkRejected
from tenaudit.audit.retention import PurgeBusy
from tenaudit.testing.conformance.events import TENANT, an_event
from tenaudit.testing.conformance.retention_suite import RetentionSuite, aged, all_events, is_verified, stored_events

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tenaudit.audit import AuditEvent
    from tenaudit.audit.retention import RetentionStore
    from tenaudit.testing.clock import ManualClock

__all__ = ["AfterPurgeCases"]


async def _refused_by(store: RetentionStore, events: list[AuditEvent]) -> frozenset[UUID]:
    """Return the ids that a store refuses."""
    try:
        await store.append(events)
    except SinkRejected as refusal:
        return refusal.event_ids
    return frozenset()


class AfterPurgeCases(RetentionSuite):
    """What a purge leaves, and what does not come back."""

    def test_a_replay_brings_nothing_back(self, tmp_path: Path) -> None:
        """What is past its period is expired; within a longer one the leaf of what went makes it a duplicate.

        But for the leaf that has salts in it, which went with the event: what comes again then is expired too.
        """
        events = [aged(n, 40 + n, actor_id=None) for n in range(4)]
        salted = aged(6, 44)

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([*events, salted])
            await store.purge()
            assert await store.append([*events, salted, aged(8, 50), aged(9, 1)]) == (1, 0, 0, 6)
            await store.set_retention(365, tenant_id=TENANT)
            late = aged(7, 45)
            assert await store.append([*events, late, salted]) == (1, 4, 0, 1)
            assert await store.append([late]) == (0, 1, 0, 0)
            assert await store.append([aged(0, 40, actor_id=None, payload={"other": 1})]) == (0, 0, 0, 1)
            assert await is_verified(store)
            await store.set_retention(30, tenant_id=TENANT)
            # It is there still, so it is no expired one.
            assert await store.append([late]) == (0, 1, 0, 0)
            assert (await store.purge()).rows == 1
            assert await store.append([late]) == (0, 0, 0, 1)

        self._run(tmp_path, case)

    def test_the_id_of_an_event_that_went_is_taken(self, tmp_path: Path) -> None:
        """What comes under it with a later time is not kept as a second content, and stops nothing that comes with it.

        Nothing tells any more whether it is what was erased before the purge.
        """
        gone, salted = aged(0, 40, actor_id=None), aged(4, 40)
        again, other = (one.model_copy(update={"occurred_at": aged(1, 1).occurred_at}) for one in (gone, salted))

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([gone, salted])
            await store.purge()
            assert await store.append([aged(2, 1), again, other, aged(3, 1)]) == (2, 0, 0, 2)
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_producer_writes_no_records_of_retention(self, tmp_path: Path) -> None:
        """An event that could pass for one is refused by name, and what comes with it is stored without it."""
        actions = ("audit.purged", "audit.retention_set", "audit.hold_placed", "audit.hold_released", "audit.erased")
        forged = [an_event(n, action=action) for n, action in enumerate(actions)]

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            assert await _refused_by(store, [*forged, an_event(9)]) == {event.event_id for event in forged}
            assert await store.append([an_event(9)]) == (1, 0, 0, 0)

        self._run(tmp_path, case)

    def test_nothing_of_a_held_tenant_expires(self, tmp_path: Path) -> None:
        """A late event of a held tenant is stored, and a purged one is a duplicate."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([aged(0, 40, actor_id=None)])
            await store.purge()
            await store.hold(TENANT, reason="case 9", by="legal")
            assert await store.append([aged(0, 40, actor_id=None), aged(1, 50)]) == (1, 1, 0, 0)

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
            assert await is_verified(store)

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
            assert await is_verified(store)

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
            records = await all_events(store, "audit.purged")
            assert sum(gone) == sum(record.payload["rows"] for record in records)
            assert len(await stored_events(store)) == 40
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_conflicts_go_with_their_time(self, tmp_path: Path) -> None:
        """The second content of an id holds personal data too."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.append([aged(0, 40), aged(1, 2)])
            await store.append([aged(0, 40, payload={"x": 1}), aged(1, 2, payload={"x": 1})])
            (one,) = (await store.purge()).tenants
            assert (one.rows, one.conflicts) == (1, 1)
            assert await is_verified(store)

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
            assert len(await stored_events(store)) == 4
            again = await store.purge(batch=3)
            assert (again.rows, again.complete) == (4, True)
            assert await is_verified(store)

        self._run(tmp_path, case)
