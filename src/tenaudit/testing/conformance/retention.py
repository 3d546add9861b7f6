"""What every store that keeps events for a time keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tenaudit.audit import AuditQuery
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_replay import AfterPurgeCases
from tenaudit.testing.conformance.retention_suite import NOW, aged, is_verified, refused, stored_events

if TYPE_CHECKING:
    from pathlib import Path

    from tenaudit.audit.retention import RetentionStore
    from tenaudit.testing.clock import ManualClock

__all__ = ["RetentionConformance"]


class RetentionConformance(AfterPurgeCases):
    """Proves the retention of a store; subclass it as `class TestMyStore(RetentionConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqlite(RetentionConformance):
        ...     async def open_store(self, folder, clock):
        ...         return await SqliteStore.open(folder / "audit.db", clock=clock)
    """

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
            assert await stored_events(store) == young
            (record,) = (await store.search(AuditQuery(TENANT, action="audit.purged"))).events
            assert record.actor_id == "u-purger"
            assert (record.payload["rows"], record.payload["days"]) == (3, 30)
            assert record.payload["ranges"] == [[0, 0], [2, 2], [4, 4]]
            assert await is_verified(store)
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
            assert await stored_events(store) == [at]

        self._run(tmp_path, case)

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """It tells the counts that the purge then has."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            events = [aged(n, 40 + n) for n in range(5)]
            await store.append([*events, aged(9, 1)])
            told = await store.purge(dry_run=True)
            assert (told.dry_run, told.rows) == (True, 5)
            assert len(await stored_events(store)) == 6
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
            assert await is_verified(store)

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
            await refused(store.hold(TENANT, reason="again", by="legal"), "is held already")
            report = await store.purge()
            assert (report.held, report.rows) == ((TENANT,), 1)
            assert await store.get(TENANT, aged(0, 99).event_id) is not None
            clock.advance(60)
            await store.release(TENANT, reason="closed", by="legal")
            assert await store.holds() == ()
            await refused(store.release(TENANT, reason="again", by="legal"), "is not held")
            assert (await store.purge()).rows == 1
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_tenant_without_events_can_be_held(self, tmp_path: Path) -> None:
        """A hold and a period may come before the first event."""

        async def case(store: RetentionStore, _clock: ManualClock) -> None:
            await store.hold(TENANT, reason="case 8", by="legal")
            await store.set_retention(10, tenant_id=OTHER_TENANT)
            await store.append([aged(0, 99), aged(1, 20, tenant_id=OTHER_TENANT)])
            assert (await store.purge()).rows == 1
            assert await is_verified(store)

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
                await refused(call, field)
            assert await store.tenants() == ()

        self._run(tmp_path, case)
