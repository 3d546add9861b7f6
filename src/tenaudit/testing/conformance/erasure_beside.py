"""Cases of erasure that are about what stands beside the fields of events: second contents, keys, and what stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tenaudit.testing.conformance.erasure_suite import ALICE, MAIL, ErasureSuite, hers
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import aged, all_events, is_verified, refused, stored_events

if TYPE_CHECKING:
    from pathlib import Path

    from tenaudit.testing.conformance.erasure_suite import ForgettingStore

__all__ = ["BesideErasureCases"]


class BesideErasureCases(ErasureSuite):
    """The part of `ErasureConformance` that is about what is no field of an event of theirs."""

    def test_second_contents_that_name_her_go(self, tmp_path: Path) -> None:
        """They are no part of the log, so they are deleted whole."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 10, actor_id="bob"), aged(1, 10, actor_id="bob")])
            assert await store.append([hers(0), aged(1, 10, actor_id="carol")]) == (0, 0, 2, 0)
            told = await store.erase(ALICE, tenant_id=TENANT, dry_run=True)
            assert told.others == {"conflicts": 1}
            assert (await store.erase(ALICE, tenant_id=TENANT)).others == {"conflicts": 1}
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
            await store.append([aged(0, 10, actor_id="bob"), hers(1), aged(2, 10, actor_id="bob")])
            in_payload = aged(0, 10, actor_id="carol", payload={"users": [{"of": {"name": ALICE}}]})
            of_hers = aged(1, 10, actor_id=None, payload={"mail": MAIL})
            assert await store.append([in_payload, of_hers, aged(2, 10, actor_id="carol")]) == (0, 0, 3, 0)
            told = await store.erase(ALICE, tenant_id=TENANT, dry_run=True)
            assert told.others == {"conflicts": 2}
            assert (await store.erase(ALICE, tenant_id=TENANT)).others == {"conflicts": 2}
            assert (await store.erase("carol", tenant_id=TENANT)).others == {"conflicts": 1}

        self._run(tmp_path, case)

    def test_a_name_that_is_a_key_goes_with_what_is_committed_to_around_it(self, tmp_path: Path) -> None:
        """And where nothing is, it is told that a key has it, in words that do not name her."""

        async def case(store: ForgettingStore) -> None:
            inside = aged(0, 10, actor_id="bob", payload={"card": {"of": {ALICE: 5}}})
            await store.append([inside, aged(1, 10, actor_id="bob", payload={"seen": {ALICE: {"x": 1}}})])
            report = await store.erase(ALICE, tenant_id=TENANT)
            assert (report.events, report.values) == (1, 1)
            assert report.not_reached[0].names == ("a key of payload.seen",)
            assert "neill" not in json.dumps(report.to_json())
            events = await stored_events(store)
            assert [event.payload.get("card") for event in events] == [None, None]

        self._run(tmp_path, case)

    def test_says_what_it_does_not_reach(self, tmp_path: Path) -> None:
        """Fields that are not listed, records that name her as the one who asked, archives, and what is elsewhere."""

        async def case(store: ForgettingStore) -> None:
            await store.append([aged(0, 40), aged(1, 10, actor_id="bob", payload={"friend": {"of": ALICE}})])
            await store.purge(by=ALICE, archive=tmp_path)
            report = await store.erase(ALICE, tenant_id=TENANT)
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
