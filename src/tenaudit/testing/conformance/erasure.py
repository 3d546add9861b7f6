"""What every store that forgets a person keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from tenaudit.audit.erasure.ports import ErasureStore
from tenaudit.audit.erasure.steps import ErasureHeld
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.retention.ports import RetentionStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import NOW, aged, all_events, is_verified, refused, stored_events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent

__all__ = ["ErasureConformance", "ForgettingStore"]

_ALICE = 'alice\u00e9 "o\'\\neill" /~1'
_IP = "192.0.2.77"
_MAIL = "alice@example.com"
_PERSONAL = PersonalFields(["resource_id", "payload.users[*].email", "payload.card"])


class ForgettingStore(RetentionStore, ErasureStore, Protocol):
    """A store that keeps events for a time and forgets persons."""


def _hers(number: int, **fields: object) -> AuditEvent:
    payload = {"client_ip": _IP, "card": {"number": "4111", "of": [_ALICE]}, "note": f"kept {number}"}
    return aged(number, 10, **{"actor_id": _ALICE, "resource_id": "account-1", "payload": payload} | fields)


def _of_others(number: int) -> AuditEvent:
    users = [{"email": _MAIL, "role": "admin"}, {"email": _ALICE, "role": "member"}]
    return aged(number, 10, actor_id="bob", resource_id=_ALICE, payload={"client_ip": "192.0.2.1", "users": users})


class ErasureConformance(ABC):
    """Proves the erasure of a store; subclass it as `class TestMyStore(ErasureConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqlite(ErasureConformance):
        ...     async def open_store(self, folder, clock, personal):
        ...         return await SqliteStore.open(folder / "audit.db", clock=clock, personal=personal)
    """

    @abstractmethod
    async def open_store(self, folder: Path, clock: Clock, personal: PersonalFields) -> ForgettingStore:
        """Return a store that was made empty for the test; *folder* is the test's own."""

    def test_takes_the_values_and_leaves_the_rest(self, tmp_path: Path) -> None:
        """Of her events every listed value goes, of others what names her; all else stays, and the log verifies."""

        async def case(store: ForgettingStore) -> None:
            hers, others, bystander = [_hers(n) for n in range(3)], _of_others(3), aged(4, 10, actor_id="bob")
            await store.append([*hers, others, bystander])
            await store.append([_hers(9, tenant_id=OTHER_TENANT)])
            before = {tip.origin: tip for tip in await store.seal()}
            report = await store.erase(_ALICE, tenant_id=TENANT, by="u-officer")
            # Actor, resource, address and card of each of three; the resource and one user of the other's.
            assert (report.events, report.values, report.complete) == (4, 14, True)
            found = {event.event_id: event for event in await stored_events(store)}
            for event in hers:
                left = found[event.event_id]
                note = event.payload["note"]
                assert (left.actor_id, left.resource_id) == (None, None)
                assert left.payload == {"client_ip": None, "card": None, "note": note}
                assert left.action == event.action
            left = found[others.event_id]
            users = [{"email": _MAIL, "role": "admin"}, {"email": None, "role": "member"}]
            assert (left.actor_id, left.resource_id, left.payload["users"]) == ("bob", None, users)
            assert found[bystander.event_id] == bystander
            assert [event.actor_id for event in await stored_events(store, OTHER_TENANT)] == [_ALICE]
            signed = {TENANT: [tip for origin, tip in before.items() if str(TENANT) in origin]}
            await store.seal()
            checked = await store.verify(TENANT, signed=signed)
            assert checked.verified, checked.problems

        self._run(tmp_path, case)

    def test_the_log_tells_where_and_not_whose(self, tmp_path: Path) -> None:
        """One record of a batch: places of the log by places of events, and who asked for it."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 10, actor_id="bob"), _hers(1), _hers(2), _of_others(3)])
            report = await store.erase(_ALICE, tenant_id=TENANT, by="u-officer")
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
            assert not any(text in told for text in (_IP, _MAIL, "4111", "neill"))

        self._run(tmp_path, case)

    def test_what_comes_again_brings_nothing_back(self, tmp_path: Path) -> None:
        """Neither the same events nor others with their ids, of which nothing is kept."""

        async def case(store: ForgettingStore) -> None:
            events = [_hers(n) for n in range(4)]
            await store.append(events)
            await store.erase(_ALICE, tenant_id=TENANT)
            assert await store.append(events) == (0, 4, 0, 0)
            assert await store.append([_hers(0, action="another.one")]) == (0, 1, 0, 0)
            assert all(event.actor_id is None for event in await stored_events(store))
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_second_contents_that_name_her_go(self, tmp_path: Path) -> None:
        """They are no part of the log, so they are deleted whole."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 10, actor_id="bob"), aged(1, 10, actor_id="bob")])
            assert await store.append([_hers(0), aged(1, 10, actor_id="carol")]) == (0, 0, 2, 0)
            told = await store.erase(_ALICE, tenant_id=TENANT, dry_run=True)
            assert told.others == {"conflicts": 1}
            assert (await store.erase(_ALICE, tenant_id=TENANT)).others == {"conflicts": 1}
            (record,) = await all_events(store, "audit.erased")
            assert record.payload == {"erased": {}, "conflicts": 1}
            assert (await store.erase("carol", tenant_id=TENANT)).others == {"conflicts": 1}
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_second_contents_go_wherever_they_name_her_and_whatever_they_say_of_her_events(
        self, tmp_path: Path
    ) -> None:
        """In a payload as in a field; and of an event of hers also if they do not name her."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 10, actor_id="bob"), _hers(1), aged(2, 10, actor_id="bob")])
            in_payload = aged(0, 10, actor_id="carol", payload={"users": [{"of": {"name": _ALICE}}]})
            of_hers = aged(1, 10, actor_id=None, payload={"mail": _MAIL})
            assert await store.append([in_payload, of_hers, aged(2, 10, actor_id="carol")]) == (0, 0, 3, 0)
            told = await store.erase(_ALICE, tenant_id=TENANT, dry_run=True)
            assert told.others == {"conflicts": 2}
            assert (await store.erase(_ALICE, tenant_id=TENANT)).others == {"conflicts": 2}
            assert (await store.erase("carol", tenant_id=TENANT)).others == {"conflicts": 1}

        self._run(tmp_path, case)

    def test_a_name_that_is_a_key_goes_with_what_is_committed_to_around_it(self, tmp_path: Path) -> None:
        """And where nothing is, it is told that a key has it, in words that do not name her."""

        async def case(store: ForgettingStore) -> None:
            inside = aged(0, 10, actor_id="bob", payload={"card": {"of": {_ALICE: 5}}})
            await store.append([inside, aged(1, 10, actor_id="bob", payload={"seen": {_ALICE: {"x": 1}}})])
            report = await store.erase(_ALICE, tenant_id=TENANT)
            assert (report.events, report.values) == (1, 1)
            assert report.not_reached[0].names == ("a key of payload.seen",)
            assert "neill" not in json.dumps(report.to_json())
            events = await stored_events(store)
            assert [event.payload.get("card") for event in events] == [None, None]

        self._run(tmp_path, case)

    def test_very_many_values_go_in_parts(self, tmp_path: Path) -> None:
        """No record of an erasure is larger than an event may be."""

        async def case(store: ForgettingStore) -> None:
            users = [{"email": _ALICE} for _ in range(200)]
            await store.append([aged(n, 10, actor_id="bob", payload={"users": users}) for n in range(20)])
            report = await store.erase(_ALICE, tenant_id=TENANT)
            assert (report.events, report.values, report.complete) == (20, 4000, True)
            records = await all_events(store, "audit.erased")
            assert len(records) == 4
            assert max(len(json.dumps(record.record())) for record in records) < 64 * 1024
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        """It tells the counts that the erasure then has."""

        async def case(store: ForgettingStore) -> None:
            events = [_hers(0), _of_others(1)]
            await store.append(events)
            told = await store.erase(_ALICE, tenant_id=TENANT, dry_run=True)
            assert (told.events, told.values, told.dry_run) == (2, 6, True)
            assert await all_events(store, None) == events
            done = await store.erase(_ALICE, tenant_id=TENANT)
            assert (done.events, done.values) == (2, 6)

        self._run(tmp_path, case)

    def test_a_second_time_finds_nothing(self, tmp_path: Path) -> None:
        """And writes nothing; another person's values of the same event can still go."""

        async def case(store: ForgettingStore) -> None:
            await store.append([_of_others(0)])
            await store.erase(_ALICE, tenant_id=TENANT)
            again = await store.erase(_ALICE, tenant_id=TENANT)
            assert (again.events, again.values, again.complete) == (0, 0, True)
            assert len(await all_events(store, "audit.erased")) == 1
            assert (await store.erase("bob", tenant_id=TENANT)).values == 3
            assert (await store.erase(_MAIL, tenant_id=TENANT)).values == 0
            (event,) = await stored_events(store)
            assert [user["email"] for user in event.payload["users"]] == [None, None]
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_several_at_once_and_writers_beside_them(self, tmp_path: Path) -> None:
        """Each value goes once, in batches, while events come in; what is left the next one takes."""

        async def case(store: ForgettingStore) -> None:
            await store.append([_hers(n) for n in range(40)])
            first, second = (asyncio.create_task(store.erase(_ALICE, tenant_id=TENANT, batch=n)) for n in (3, 7))
            for number in range(40, 60):
                await store.append([_hers(number)])
            reports = [await first, await second]
            last = await store.erase(_ALICE, tenant_id=TENANT)
            assert sum(report.events for report in (*reports, last)) == 60
            assert all(event.actor_id is None for event in await stored_events(store))
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_what_time_is_left_to_do_the_next_one_does(self, tmp_path: Path) -> None:
        """An erasure without time does nothing and says so."""

        async def case(store: ForgettingStore) -> None:
            await store.append([_hers(0)])
            report = await store.erase(_ALICE, tenant_id=TENANT, seconds=1e-9)
            left = await store.erase(_ALICE, tenant_id=TENANT)
            assert report.events + left.events == 1
            assert left.complete

        self._run(tmp_path, case)

    def test_what_is_held_stays(self, tmp_path: Path) -> None:
        """A legal hold keeps everything, a dry run tells it too, and after it all goes."""

        async def case(store: ForgettingStore) -> None:
            await store.append([_hers(0)])
            await store.hold(TENANT, reason="case 7", by="u-lawyer")
            for dry_run in (True, False):
                try:
                    await store.erase(_ALICE, tenant_id=TENANT, dry_run=dry_run)
                except ErasureHeld as error:
                    assert str(TENANT) in str(error)  # noqa: PT017 - the suite runs without pytest
                else:
                    raise AssertionError("a held tenant was erased")
            assert [event.actor_id for event in await stored_events(store)] == [_ALICE]
            await store.release(TENANT, reason="closed", by="u-lawyer")
            assert (await store.erase(_ALICE, tenant_id=TENANT)).events == 1
            assert await is_verified(store)

        self._run(tmp_path, case)

    def test_a_purge_takes_what_was_erased(self, tmp_path: Path) -> None:
        """And the log verifies; what comes again then is not stored."""

        async def case(store: ForgettingStore) -> None:
            old = _hers(0, occurred_at=aged(0, 40).occurred_at, event_id=aged(0, 40).event_id)
            await store.append([old, _hers(1)])
            await store.erase(_ALICE, tenant_id=TENANT)
            assert (await store.purge()).rows == 1
            assert await is_verified(store)
            assert await store.append([old]) == (0, 0, 0, 1)

        self._run(tmp_path, case)

    def test_says_what_it_does_not_reach(self, tmp_path: Path) -> None:
        """Fields that are not listed, records that name her as the one who asked, archives, and what is elsewhere."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 40), aged(1, 10, actor_id="bob", payload={"friend": {"of": _ALICE}})])
            await store.purge(by=_ALICE, archive=tmp_path)
            report = await store.erase(_ALICE, tenant_id=TENANT)
            assert report.values == 0
            left = {one.what: one for one in report.not_reached}
            assert (left["fields of events"].count, left["fields of events"].names[0]) == (2, "actor_id")
            assert left["fields of events"].names[1:] == ("payload.friend.of",)
            assert left["records in the log"].count == 1
            (archive,) = left["archives"].names
            assert (tmp_path / archive).exists()
            assert {"streams", "spools and outboxes", "free pages, logs and backups"} <= set(left)

        self._run(tmp_path, case)

    def test_refuses_what_is_no_person(self, tmp_path: Path) -> None:
        """Errors name the argument."""

        async def case(store: ForgettingStore) -> None:
            for subject in ("", "  ", "a\0b", "x" * 20_000, "\ud800"):
                await refused(store.erase(subject, tenant_id=TENANT), "subject")
            await refused(store.erase("x", tenant_id=TENANT, batch=0), "batch")
            await refused(store.erase("x", tenant_id=TENANT, by=""), "by")
            assert (await store.erase("nobody", tenant_id=OTHER_TENANT)).events == 0

        self._run(tmp_path, case)

    def _run(self, folder: Path, case: Callable[[ForgettingStore], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder, ManualClock(NOW.timestamp()), _PERSONAL)
            try:
                await case(store)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))
