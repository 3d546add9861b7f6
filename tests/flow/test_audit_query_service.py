"""The query service over real sockets: the same requests to three frameworks, answered to the byte alike."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import socket
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.export import COLUMNS
from tenaudit.audit.integrity import parse_body, verify_inclusion
from tenaudit.audit.integrity.exported_leaf import exported_leaf
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.conformance.http.raw_http import DEADLINE, Answer, exchange, request_bytes
from tests.flow.audit_processes import ADAPTERS, Follower, running
from tests.unit.gate.sse import EventSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON = "application/json"
EVENTS = 450
SUPPORT = [("X-Tenant-ID", str(TENANT)), ("X-Roles", "Support")]
ADMIN = [("X-Tenant-ID", str(TENANT)), ("X-Roles", "Admin")]
STRANGER = [("X-Tenant-ID", str(OTHER_TENANT)), ("X-Roles", "Support")]
CASHIER = [("X-Tenant-ID", str(TENANT)), ("X-Roles", "Cashier")]
CARD = "4242424242424242"


def seeded(number: int) -> AuditEvent:
    fields: dict[str, Any] = {"payload": {"number": number, "card": CARD}}
    if number % 50 == 0:
        fields |= {"actor_id": "=cmd|' /C calc'!A0", "action": "payment.voided", "resource_id": 'a "b",\r\nc'}
    return an_event(number, **fields)


class Services:
    """The ports of the three servers, and the store behind them all."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "audit.db"
        self.ports: dict[str, int] = {}

    def ask(self, adapter: str, target: str, headers: list[Any] = SUPPORT, method: str = "GET") -> Answer:
        return exchange(self.ports[adapter], request_bytes(method, target, headers))

    def ask_all(self, target: str, headers: list[Any] = SUPPORT, method: str = "GET") -> Answer:
        """Ask each framework, see that they agree, and return the answer."""
        answers = [self.ask(adapter, target, headers, method) for adapter in ADAPTERS]
        assert len({told(answer) for answer in answers}) == 1
        return answers[0]


PROOF = f"/audit/events/{an_event(321).event_id}/proof"
GROWTH = f"/audit/consistency?first={EVENTS}"
HEAD_TYPES = {
    "/audit/export": "application/x-ndjson",
    "/audit/tail": "text/event-stream",
    "/audit/stats": JSON,
    "/audit/openapi.json": JSON,
    PROOF: JSON,
    "/audit/checkpoint": JSON,
    GROWTH: JSON,
}
CONTRACT = ("content-type", "content-disposition", "cache-control", "x-error-code", "allow", "retry-after")


def told(answer: Answer) -> Any:
    trace = answer.header("x-trace-id")
    assert trace is not None
    headers = tuple((name, answer.header(name)) for name in CONTRACT)
    return answer.status, headers, answer.body.replace(trace.encode(), b"{trace}")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("audit_services")
    made = Services(folder)

    async def seed() -> None:
        async with SqliteStore.open(made.database) as store:
            await store.append([seeded(number) for number in range(EVENTS)])
            await store.seal()

    asyncio.run(seed())
    with running(folder, "tests.flow.audit_service", str(made.database)) as ports:
        made.ports = ports
        yield made


def test_a_cursor_of_one_worker_is_read_by_every_other(services: Services) -> None:
    seen, cursor = [], None
    for place in range(100):
        target = "/audit/events?limit=150" + (f"&cursor={cursor}" if cursor else "")
        page = json.loads(services.ask(ADAPTERS[place % 3], target).body)
        seen += [event["payload"]["number"] for event in page["events"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(reversed(range(EVENTS)))


@pytest.mark.parametrize(
    ("change", "headers", "reason"),
    [
        (lambda c: f"?cursor={c[:-1]}", SUPPORT, "altered"),
        (lambda c: f"?cursor={c}", STRANGER, "other_tenant"),
        (lambda c: f"?cursor={c}&outcome=denied", SUPPORT, "other_filters"),
    ],
)
def test_a_cursor_that_is_not_good_is_refused_with_its_reason(
    services: Services, change: Any, headers: Any, reason: str
) -> None:
    cursor = json.loads(services.ask("starlette", "/audit/events?limit=1").body)["next_cursor"]
    answer = services.ask_all(f"/audit/events{change(cursor)}", headers)
    assert (answer.status, answer.header("x-error-code")) == (400, "invalid_cursor")
    assert json.loads(answer.body)["errors"][0]["reason"] == reason


def test_an_export_is_every_event_masked_and_says_that_it_is_whole(services: Services) -> None:
    answer = services.ask_all("/audit/export?order=asc")
    assert (answer.status, answer.header("content-type")) == (200, "application/x-ndjson")
    assert answer.header("content-disposition") == 'attachment; filename="audit-events.ndjson"'
    assert answer.header("content-length") is None
    *lines, end = answer.body.decode().splitlines()
    assert json.loads(end) == {"tenaudit_export": {"complete": True, "events": EVENTS}}
    events = [AuditEvent.model_validate_json(line) for line in lines]
    assert [event.payload["number"] for event in events] == list(range(EVENTS))
    assert {event.payload["card"] for event in events} == {"****4242"}
    unredacted = [json.loads(line) for line in services.ask_all("/audit/export?order=asc", ADMIN).body.splitlines()]
    assert unredacted[:-1] == [seeded(number).record() for number in range(EVENTS)]


def test_the_export_is_the_list(services: Services) -> None:
    ask = "action=payment.*&order=asc&include_redacted=true"
    listed = json.loads(services.ask("flask", f"/audit/events?{ask}&limit=500").body)["events"]
    exported = [json.loads(line) for line in services.ask_all(f"/audit/export?{ask}").body.splitlines()]
    assert exported[:-1] == listed
    assert len(listed) == EVENTS / 50
    assert listed[0]["redactions"] == ["payload.card:mask"]
    assert services.ask_all("/audit/export", STRANGER).body == b'{"tenaudit_export":{"complete":true,"events":0}}\n'


def test_csv_is_read_by_others_and_holds_no_formula(services: Services) -> None:
    answer = services.ask_all("/audit/export?format=csv&order=asc&action=payment.*")
    assert answer.header("content-type") == "text/csv; charset=utf-8; header=present"
    head, *rows, end = csv.reader(io.StringIO(answer.body.decode(), newline=""), strict=True)
    assert head == list(COLUMNS)
    assert end == ["#complete", str(EVENTS // 50), *[""] * (len(COLUMNS) - 2)]
    for place, row in enumerate(rows):
        told_of = dict(zip(head, row, strict=True))
        assert told_of["event_id"] == str(seeded(place * 50).event_id)
        assert told_of["actor_id"] == "'=cmd|' /C calc'!A0"
        assert told_of["resource_id"] == 'a "b",\r\nc'
        assert json.loads(told_of["payload"]) == {"card": "****4242", "number": place * 50}


@pytest.mark.parametrize(
    ("target", "headers", "method", "status", "code"),
    [
        ("/audit/export?format=xml", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/export?limit=5&cursor=x", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/export?tenant_id=1", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/export", CASHIER, "GET", 403, "missing_role"),
        ("/audit/export", [], "GET", 400, "missing_tenant_id"),
        ("/audit/export", SUPPORT, "POST", 405, "method_not_allowed"),
        ("/audit/tail?limit=5", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/tail", [*SUPPORT, ("Last-Event-ID", "x")], "GET", 400, "invalid_cursor"),
        ("/audit/tail", [*SUPPORT, ("Last-Event-ID", "\xff")], "GET", 400, "invalid_cursor"),
        ("/audit/tail", CASHIER, "GET", 403, "missing_role"),
        ("/audit/tail", [], "GET", 400, "missing_tenant_id"),
        ("/audit/tail", SUPPORT, "PUT", 405, "method_not_allowed"),
        ("/audit/stats?limit=5&q=", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/stats", CASHIER, "GET", 403, "missing_role"),
        ("/audit/openapi.json", [], "GET", 400, "missing_tenant_id"),
        (f"{PROOF}?size=1", ADMIN, "GET", 404, "not_found"),
        (f"{PROOF}?size={EVENTS + 1}", ADMIN, "GET", 409, "conflict"),
        (f"{PROOF}?size=1&size=1", ADMIN, "GET", 400, "invalid_parameter"),
        (PROOF, SUPPORT, "GET", 403, "missing_role"),
        (PROOF, CASHIER, "GET", 403, "missing_role"),
        (PROOF, [], "GET", 400, "missing_tenant_id"),
        (PROOF, SUPPORT, "DELETE", 405, "method_not_allowed"),
        ("/audit/events/%00%ff/proof", ADMIN, "GET", 404, "not_found"),
        ("/audit/checkpoint?size=1", SUPPORT, "GET", 400, "invalid_parameter"),
        ("/audit/checkpoint", STRANGER, "GET", 409, "conflict"),
        ("/audit/checkpoint", CASHIER, "GET", 403, "missing_role"),
        ("/audit/consistency", ADMIN, "GET", 400, "invalid_parameter"),
        ("/audit/consistency?first=-1", ADMIN, "GET", 400, "invalid_parameter"),
        (f"{GROWTH}&second={EVENTS + 1}", ADMIN, "GET", 409, "conflict"),
        (GROWTH, SUPPORT, "GET", 403, "missing_role"),
        ("/audit/consistency?first=1", CASHIER, "GET", 403, "missing_role"),
    ],
)
def test_what_is_refused_is_refused_before_the_body(
    services: Services, target: str, headers: Any, method: str, status: int, code: str
) -> None:
    answer = services.ask_all(target, headers, method)
    assert (answer.status, answer.header("x-error-code")) == (status, code)


def test_a_proof_verifies(services: Services) -> None:
    proof = json.loads(services.ask_all(PROOF, ADMIN).body)
    tip = json.loads(services.ask_all("/audit/checkpoint").body)
    assert json.loads(services.ask_all(GROWTH, ADMIN).body)["checkpoints"] == [tip["checkpoint"]] * 2
    checkpoint, leaf = parse_body(tip["checkpoint"]), exported_leaf(seeded(321).record(), proof["openings"])
    path = [base64.b64decode(one) for one in proof["path"]]
    assert (proof["checkpoint"], base64.b64decode(proof["leaf_hash"])) == (tip["checkpoint"], leaf)
    assert verify_inclusion(leaf, 321, EVENTS, path, checkpoint.root)


def test_what_has_no_proof_is_a_problem_that_names_the_field(services: Services) -> None:
    wants = [*ADMIN, ("Accept", "application/problem+json")]
    for target, status, field in [
        (f"{PROOF}?size=1", 404, "size"),
        ("/audit/events/none/proof", 404, "event_id"),
        (f"/audit/consistency?first={EVENTS + 1}", 404, "first"),
        (f"{GROWTH}&second={EVENTS + 1}", 409, "second"),
        ("/audit/consistency?first=2&second=1", 400, "first"),
    ]:
        answer = services.ask_all(target, wants)
        assert (answer.status, answer.header("content-type")) == (status, "application/problem+json")
        assert [one["field"] for one in json.loads(answer.body)["errors"]] == [field]


@pytest.mark.parametrize("target", list(HEAD_TYPES))
def test_head_and_options_are_as_for_other_routes(services: Services, target: str) -> None:
    head = services.ask_all(target, ADMIN, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.header("content-type") == HEAD_TYPES[target]
    options = services.ask_all(target, [], "OPTIONS")
    assert (options.status, options.header("allow")) == (204, "GET, HEAD, OPTIONS")


def test_the_callers_events_are_counted(services: Services) -> None:
    stats = json.loads(services.ask_all("/audit/stats?action=payment.*").body)
    assert (stats["events"], stats["complete"], stats["actions"]) == (9, True, {"payment.voided": 9})
    assert json.loads(services.ask_all("/audit/stats").body)["events"] == EVENTS
    assert json.loads(services.ask_all("/audit/stats", STRANGER).body)["days"] == {}


def test_the_document_describes_each_path_that_is_served(services: Services) -> None:
    document = json.loads(services.ask_all("/audit/openapi.json", CASHIER).body)
    for path, described in document["paths"].items():
        required = [one["name"] for one in described["get"]["parameters"] if one["in"] == "query" and one["required"]]
        target = f"{path.format(event_id=seeded(1).event_id)}?{'&'.join(f'{name}={EVENTS}' for name in required)}"
        assert services.ask_all(target, ADMIN, "HEAD").status == 200


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_client_that_goes_away_leaves_a_server_that_answers(services: Services, adapter: str) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", services.ports[adapter]), DEADLINE) as connection:
            connection.sendall(request_bytes("GET", "/audit/export", SUPPORT))
            assert connection.recv(1)
    deadline = time.monotonic() + DEADLINE
    # A server notices that a client has gone when it next writes, and until then its export counts.
    while (answer := services.ask(adapter, "/audit/export")).status == 503:
        assert time.monotonic() < deadline
    assert answer.body.endswith(b'"complete":true,"events":450}}\n')


def someone() -> tuple[UUID, list[Any]]:
    """Return a tenant of the test's own, which no other test's followers crowd, and the headers of its reader."""
    tenant = uuid4()
    return tenant, [("X-Tenant-ID", str(tenant)), ("X-Roles", "Support")]


def followed(port: int, source: EventSource, headers: list[Any]) -> Follower:
    """Follow; a server notices that earlier connections have gone when it next writes to them."""
    deadline = time.monotonic() + DEADLINE
    while (follower := Follower(port, source, headers)).answer.status == 503:
        assert time.monotonic() < deadline
        with follower:
            follower.answer.read()
    return follower


async def arrive(services: Services, *events: AuditEvent) -> None:
    async with SqliteStore.open(services.database) as store:
        assert (await store.append(events)).stored == len(events)


def test_nothing_is_lost_or_doubled_over_reconnects_to_any_framework(services: Services) -> None:
    source, (tenant, headers) = EventSource(), someone()
    # A late arrival is one with an old id: each of these is older than the one before it.
    numbers = list(range(1999, 1980, -1))
    for place, number in enumerate(numbers):
        with followed(services.ports[ADAPTERS[place % 3]], source, headers) as follower:
            assert (follower.answer.status, follower.answer.getheader("content-type")) == (200, "text/event-stream")
            follower.read_until(lambda: bool(source.last_event_id))
            asyncio.run(arrive(services, an_event(number, tenant_id=tenant, payload={"card": CARD})))
            # Every third connection is given up before what arrived was read.
            if place % 3:
                follower.read_until(lambda want=place: len(source.data) > want)
    with followed(services.ports["flask"], source, headers) as follower:
        follower.read_until(lambda: len(source.data) == len(numbers))
    events = [json.loads(data) for data in source.data]
    assert [event["seq"] for event in events] == numbers
    assert {event["payload"]["card"] for event in events} == {"****4242"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_tail_beats_ends_and_is_taken_up_again(services: Services, adapter: str) -> None:
    source, (_, headers) = EventSource(), someone()
    with followed(services.ports[adapter], source, headers) as follower:
        body = follower.answer.read()
    assert body.endswith(b":\n\n")
    source.feed(body)
    assert source.comments >= 3
    with followed(services.ports[adapter], source, headers) as follower:
        assert follower.answer.status == 200


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_too_many_followers_are_refused_until_one_leaves(services: Services, adapter: str) -> None:
    port, (_, headers) = services.ports[adapter], someone()
    with Follower(port, EventSource(), headers) as one, Follower(port, EventSource(), headers) as other:
        assert (one.answer.status, other.answer.status) == (200, 200)
        refused = services.ask(adapter, "/audit/tail", headers)
        assert (refused.status, refused.header("x-error-code"), refused.header("retry-after")) == (
            503, "unavailable", "30",
        )  # fmt: skip
    with followed(port, EventSource(), headers) as follower:
        assert follower.answer.status == 200


def test_an_id_of_other_filters_or_of_a_list_is_refused(services: Services) -> None:
    source, (_, mine) = EventSource(), someone()
    with followed(services.ports["aiohttp"], source, mine) as follower:
        follower.read_until(lambda: bool(source.last_event_id))
    last = ("Last-Event-ID", source.last_event_id)
    for target, headers, reason in [
        ("/audit/tail?actor=u-1", mine, "other_filters"),
        ("/audit/tail", STRANGER, "other_tenant"),
    ]:
        answer = services.ask_all(target, [*headers, last])
        assert json.loads(answer.body)["errors"][0] | {"message": ""} == {
            "field": "Last-Event-ID", "reason": reason, "message": "",
        }  # fmt: skip
