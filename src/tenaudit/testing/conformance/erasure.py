"""What every store that forgets a person keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tenaudit.audit.erasure.steps import ErasureHeld
from tenaudit.testing.conformance.erasure_beside import BesideErasureCases
from tenaudit.testing.conformance.erasure_suite import ALICE, IP, MAIL, hers, of_others
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import aged, all_events, is_verified, stored_events

if TYPE_CHECKING:
    from pathlib import Path

    from tenaudit.testing.conformance.erasure_suite import ForgettingStore

__all__ = ["ErasureConformance"]


class ErasureConformance(BesideErasureCases):
    """Proves the erasure of a store; subclass it as `class TestMyStore(ErasureConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqlite(ErasureConformance):
        ...     async def open_store(self, folder, clock, personal):
        ...         return await SqliteStore.open(folder / "audit.db", clock=clock, personal=personal)
    """

    def test_takes_the_values_and_leaves_the_rest(self, tmp_path: Path) -> None:
        """Of her events every listed value goes, of others what names her; all else stays, and the log verifies."""

        async def case(store: ForgettingStore) -> None:
            mine, others, bystander = [hers(n) for n in range(3)], of_others(3), aged(4, 10, actor_id="bob")
            await store.append([*mine, others, bystander])
            await store.append([hers(9, tenant_id=OTHER_TENANT)])
            before = {tip.origin: tip for tip in await store.seal()}
            report = await store.erase(ALICE, tenant_id=TENANT, by="u-officer")
            # Actor, resource, address and card of each of three; the resource and one user of the other's.
            assert (report.events, report.values, report.complete) == (4, 14, True)
            found = {event.event_id: event for event in await stored_events(store)}
            for event in mine:
                left = found[event.event_id]
                note = event.payload["note"]
                assert (left.actor_id, left.resource_id) == (None, None)
                assert left.payload == {"client_ip": None, "card": None, "note": note}
                assert left.action == event.action
            left = found[others.event_id]
            users = [{"email": MAIL, "role": "admin"}, {"email": None, "role": "member"}]
            assert (left.actor_id, left.resource_id, left.payload["users"]) == ("bob", None, users)
            assert found[bystander.event_id] == bystander
            assert [event.actor_id for event in await stored_events(store, OTHER_TENANT)] == [ALICE]
            signed = {TENANT: [tip for origin, tip in before.items() if str(TENANT) in origin]}
            await store.seal()
            checked = await store.verify(TENANT, signed=signed)
            assert checked.verified, checked.problems

        self._run(tmp_path, case)

    def test_the_log_tells_where_and_not_whose(self, tmp_path: Path) -> None:
        """One record of a batch: places of the log by places of events, and who asked for it."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 10, actor_id="bob"), hers(1), hers(2), of_others(3)])
            report = await store.erase(ALICE, tenant_id=TENANT, by="u-officer")
            (record,) = await all_events(store, "audit.erased")
            assert record.actor_id == "u-officer"
            assert record.payload == {
                "erased": {
                    "/actor_id": [[1, 2]],
                    "/payload/card": [[1, 2]],
                    "/payload/client_ip": [[1, 2]],
                    "/payload/users/1/email": [[3, 3]],
                    "/resource_id": [[1, 3]],
                }
            }
            told = json.dumps([record.record(), report.to_json()])
            assert not any(text in told for text in (IP, MAIL, "4111", "neill"))

        self._run(tmp_path, case)

    def test_what_comes_again_brings_nothing_back(self, tmp_path: Path) -> None:
        """Neither the same events nor others with their ids, of which nothing is kept."""

        async def case(store: ForgettingStore) -> None:
            events = [hers(n) for n in range(4)]
            await store.append(events)
            await store.erase(ALICE, tenant_id=TENANT)
            assert await store.append(events) == (0, 4, 0, 0)
            assert await store.append([hers(0, action="another.one")]) == (0, 1, 0, 0)
            assert all(event.actor_id is None for event in await stored_events(store))
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_very_many_values_go_in_parts(self, tmp_path: Path) -> None:
        """No record of an erasure is larger than an event may be."""

        async def case(store: ForgettingStore) -> None:
            users = [{"email": ALICE} for _ in range(200)]
            await store.append([aged(n, 10, actor_id="bob", payload={"users": users}) for n in range(20)])
            report = await store.erase(ALICE, tenant_id=TENANT)
            assert (report.events, report.values, report.complete) == (20, 4000, True)
            records = await all_events(store, "audit.erased")
            assert len(records) == 4
            assert max(len(json.dumps(record.record())) for record in records) < 64 * 1024
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """It tells the counts that the erasure then has."""

        async def case(store: ForgettingStore) -> None:
            events = [hers(0), of_others(1)]
            await store.append(events)
            told = await store.erase(ALICE, tenant_id=TENANT, dry_run=True)
            assert (told.events, told.values, told.dry_run) == (2, 6, True)
            assert await all_events(store, None) == events
            done = await store.erase(ALICE, tenant_id=TENANT)
            assert (done.events, done.values) == (2, 6)

        self._run(tmp_path, case)

    def test_a_second_time_finds_nothing(self, tmp_path: Path) -> None:
        """And writes nothing; another person's values of the same event can still go."""

        async def case(store: ForgettingStore) -> None:
            await store.append([of_others(0)])
            await store.erase(ALICE, tenant_id=TENANT)
            again = await store.erase(ALICE, tenant_id=TENANT)
            assert (again.events, again.values, again.complete) == (0, 0, True)
            assert len(await all_events(store, "audit.erased")) == 1
            assert (await store.erase("bob", tenant_id=TENANT)).values == 3
            assert (await store.erase(MAIL, tenant_id=TENANT)).values == 0
            (event,) = await stored_events(store)
            assert [user["email"] for user in event.payload["users"]] == [None, None]
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_several_at_once_and_writers_beside_them(self, tmp_path: Path) -> None:
        """Each value goes once, in batches, while events come in; what is left the next one takes."""

        async def case(store: ForgettingStore) -> None:
            await store.append([hers(n) for n in range(40)])
            first, second = (asyncio.create_task(store.erase(ALICE, tenant_id=TENANT, batch=n)) for n in (3, 7))
            for number in range(40, 60):
                await store.append([hers(number)])
            reports = [await first, await second]
            last = await store.erase(ALICE, tenant_id=TENANT)
            assert sum(report.events for report in (*reports, last)) == 60
            assert all(event.actor_id is None for event in await stored_events(store))
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_what_time_is_left_to_do_the_next_one_does(self, tmp_path: Path) -> None:
        """An erasure without time does nothing and says so."""

        async def case(store: ForgettingStore) -> None:
            await store.append([hers(0)])
            report = await store.erase(ALICE, tenant_id=TENANT, seconds=1e-9)
            left = await store.erase(ALICE, tenant_id=TENANT)
            assert report.events + left.events == 1
            assert left.complete

        self._run(tmp_path, case)

    def test_what_is_held_stays(self, tmp_path: Path) -> None:
        """A legal hold keeps everything, a dry run tells it too, and after it all goes."""

        async def case(store: ForgettingStore) -> None:
            await store.append([hers(0)])
            await store.hold(TENANT, reason="case 7", by="u-lawyer")
            for dry_run in (True, False):
                try:
                    await store.erase(ALICE, tenant_id=TENANT, dry_run=dry_run)
                except ErasureHeld as error:
                    assert str(TENANT) in str(error)  # noqa: PT017 - the suite runs without pytest
                else:
                    raise AssertionError("a held tenant was erased")
            assert [event.actor_id for event in await stored_events(store)] == [ALICE]
            await store.release(TENANT, reason="closed", by="u-lawyer")
            assert (await store.erase(ALICE, tenant_id=TENANT)).events == 1
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_purge_takes_what_was_erased(self, tmp_path: Path) -> None:
        """And the log verifies; what comes again then is not stored."""

        async def case(store: ForgettingStore) -> None:
            old = hers(0, occurred_at=aged(0, 40).occurred_at, event_id=aged(0, 40).event_id)
            await store.append([old, hers(1)])
            await store.erase(ALICE, tenant_id=TENANT)
            assert (await store.purge()).rows == 1
            assert await is_verified(store)
            assert await store.append([old]) == (0, 0, 0, 1)

        self._run(tmp_path, case)
