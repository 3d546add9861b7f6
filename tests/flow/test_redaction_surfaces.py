"""No listed value leaves by any surface, whatever the payload, the paths and the role; all else leaves as it is.

The rules are those of a TOML file, the servers are real, and what is listed is told by a matcher that tries every path.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit import AuditEvent
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import an_event
from tests.conformance.http.raw_http import exchange, request_bytes
from tests.flow.audit_processes import ADAPTERS, Follower, Printed, running
from tests.flow.redaction_service import HASH_KEY, policy_of
from tests.properties.redaction_patterns import KEYS, matches, patterns, written
from tests.unit.gate.sse import EventSource

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIONS = ("mask", "remove", "hash")
FIELDS = ("actor_id", "resource_id")
# Who may read, and who of them may see everything.
ROLES = {"Support": False, "Manager": False, "Admin": True}

shapes = st.recursive(
    st.sampled_from(["plain", "odd", "number"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)
payloads = st.dictionaries(st.sampled_from(KEYS), shapes, min_size=1, max_size=3)
listings = st.lists(
    st.tuples(patterns.map(lambda path: [("key", "payload"), *path]), st.sampled_from(ACTIONS)), max_size=4
)
fields_listed = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ACTIONS), max_size=2)


class Secret(NamedTuple):
    """A leaf of an event: where it is, what is there, the part that is like nothing else, and whether it is listed."""

    place: tuple[Any, ...]
    value: Any
    token: str
    listed: bool


class Case:
    """One tenant with rules of its own, and its event."""

    def __init__(self, folder: Path, shape: Any, listing: list[Any], fields: dict[str, str]) -> None:
        self.tenant = uuid4()
        self._numbers = count()
        self.secrets: list[Secret] = []
        rules = [*listing, *(([("key", name)], action) for name, action in fields.items())] or [
            ([("key", "actor_type")], "mask")
        ]
        self._patterns = [pattern for pattern, _ in rules]
        payload = self._planted(shape, ("payload",))
        named = {name: self._planted("plain", (name,)) for name in FIELDS}
        self.event = an_event(0, tenant_id=self.tenant, payload=payload, **named)
        self.file = folder / f"{self.tenant}.toml"
        lists = {action: [written(path) for path, chosen in rules if chosen == action] for action in ACTIONS}
        self.file.write_text(
            "[redaction]\nhash_key_env = 'HASH_KEY'\n"
            + "".join(f"{action} = {json.dumps(paths)}\n" for action, paths in lists.items())
        )

    def _planted(self, shape: Any, place: tuple[Any, ...]) -> Any:
        if isinstance(shape, dict):
            return {key: self._planted(inner, (*place, key)) for key, inner in shape.items()}
        if isinstance(shape, list):
            return [self._planted(inner, (*place, index)) for index, inner in enumerate(shape)]
        token = hashlib.sha256(f"{self.tenant} {next(self._numbers)}".encode()).hexdigest()[:12]
        value: Any = token
        if shape == "odd":
            value = f'é\n"{token}=\u2028ÿ'
        elif shape == "number":
            value = int(token, 16) + 10**15
            token = str(value)
        prefixes = [place[: size + 1] for size in range(len(place))]
        listed = any(matches(pattern, prefix) for pattern in self._patterns for prefix in prefixes)
        self.secrets.append(Secret(place, value, token, listed))
        return value


class Surfaces:
    """Whatever shows events of a case to one reader; each returns its whole text and the events in it."""

    def __init__(self, database: Path, port: int, case: Case, role: str) -> None:
        self.database = database
        self._port = port
        self._case = case
        self._headers: list[Any] = [("X-Tenant-ID", str(case.tenant)), ("X-Roles", role)]

    def get(self, route: str, **parameters: str) -> str:
        target = f"/audit/{route}" + (f"?{urlencode(parameters)}" if parameters else "")
        answer = exchange(self._port, request_bytes("GET", target, self._headers))
        assert answer.status == 200, answer
        return answer.body.decode()

    def tail(self, arriving: AuditEvent, **parameters: str) -> str:
        """Follow until what arrives has been passed, and return what was shown of it."""
        source = EventSource()
        target = "/audit/tail" + (f"?{urlencode(parameters)}" if parameters else "")
        with Follower(self._port, source, self._headers, target) as follower:
            follower.read_until(lambda: bool(source.last_event_id))
            before = source.last_event_id
            arrive(self.database, arriving)
            follower.read_until(lambda: source.last_event_id != before)
        return "\n".join(source.data)

    def found(self, **filters: str) -> dict[str, int]:
        """Return how many events each surface finds."""
        return {
            "events": len(json.loads(self.get("events", **filters))["events"]),
            "export": self.get("export", **filters).count('"event_id"'),
            "stats": json.loads(self.get("stats", **filters))["events"],
        }


def arrive(database: Path, event: AuditEvent) -> None:
    async def write() -> None:
        async with SqliteStore.open(database) as store:
            assert (await store.append([event])).stored == 1

    asyncio.run(write())


def at(view: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        view = view[step]
    return view


def printed(case: Case, database: Path, *words: str) -> str:
    """Return what `tenaudit audit` prints with the rules of a case."""
    out = Printed(interrupts=words[0] == "tail")
    options = ["--store", f"sqlite:///{database}", "--tenant", str(case.tenant), "--redact-policy", str(case.file)]
    with redirect_stdout(out):
        code = main(["audit", *words, *options])
    assert code == (130 if words[0] == "tail" else 0)
    out.flush()
    return out.text()


class Bench(NamedTuple):
    folder: Path
    database: Path
    ports: dict[str, int]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("redaction")
    database = folder / "audit.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HASH_KEY", HASH_KEY)
        # The file is made before three processes open it.
        arrive(database, an_event(0, tenant_id=UUID(int=1)))
        with running(folder, "tests.flow.redaction_service", str(database), str(folder)) as ports:
            yield Bench(folder, database, ports)


@given(
    shape=payloads,
    listing=listings,
    fields=fields_listed,
    role=st.sampled_from(list(ROLES)),
    adapter=st.sampled_from(ADAPTERS),
    data=st.data(),
)
def test_no_listed_value_leaves_by_any_surface(
    bench: Bench, shape: Any, listing: list[Any], fields: dict[str, str], role: str, adapter: str, data: Any
) -> None:
    case = Case(bench.folder, shape, listing, fields)
    surfaces = Surfaces(bench.database, bench.ports[adapter], case, role)
    whole = ROLES[role]
    followed = surfaces.tail(case.event)
    one = surfaces.get(f"events/{case.event.event_id}")
    export = surfaces.get("export")
    texts = {
        "tail": followed,
        "one": one,
        "events": surfaces.get("events", include_redacted="true"),
        "ndjson": export,
        "csv": surfaces.get("export", format="csv"),
        "stats": surfaces.get("stats"),
    }
    for name, text in texts.items():
        gone = {secret.token for secret in case.secrets if secret.listed and not whole}
        assert [token for token in gone if token in text] == [], name
    views = [json.loads(followed), json.loads(one), first_line(export), json.loads(texts["events"])["events"][0]]
    views.append(csv_view(texts["csv"]))
    for secret in case.secrets:
        if whole or not secret.listed:
            assert [at(view, secret.place) for view in views] == [secret.value] * len(views), secret
    if not whole:
        for view in views[1:4]:
            assert policy_of(case.file).peek(view) == (view, ())

    # Nobody finds an event by what they do not see, and everybody does by what they see.
    secret = data.draw(st.sampled_from(case.secrets), label="asked for")
    seen = int(whole or not secret.listed)
    name, value = asked(secret)
    assert surfaces.found(**{name: value}) == {"events": seen, "export": seen, "stats": seen}


@given(
    shape=payloads,
    listing=listings,
    fields=fields_listed,
    adapter=st.sampled_from(ADAPTERS),
    data=st.data(),
)
def test_who_follows_is_shown_nothing_by_what_is_hidden(
    bench: Bench, shape: Any, listing: list[Any], fields: dict[str, str], adapter: str, data: Any
) -> None:
    case = Case(bench.folder, shape, listing, fields)
    secret = data.draw(st.sampled_from(case.secrets), label="asked for")
    name, value = asked(secret)
    shown = Surfaces(bench.database, bench.ports[adapter], case, "Support").tail(case.event, **{name: value})
    assert bool(shown) is not secret.listed


@given(shape=payloads, listing=listings, fields=fields_listed, data=st.data())
def test_no_listed_value_is_printed_by_any_command(
    bench: Bench, shape: Any, listing: list[Any], fields: dict[str, str], data: Any
) -> None:
    case = Case(bench.folder, shape, listing, fields)
    arrive(bench.database, case.event)
    texts = {
        "query": printed(case, bench.database, "query", "--json"),
        "tail": printed(case, bench.database, "tail", "--json", "--from-start"),
        "export": printed(case, bench.database, "export"),
        "csv": printed(case, bench.database, "export", "--format", "csv"),
        "ocsf": printed(case, bench.database, "export", "--format", "ocsf"),
        "stats": printed(case, bench.database, "stats", "--json"),
        "table": printed(case, bench.database, "query"),
    }
    for name, text in texts.items():
        assert [secret.token for secret in case.secrets if secret.listed and secret.token in text] == [], name
    views = [
        json.loads(texts["query"])["events"][0],
        json.loads(texts["tail"]),
        first_line(texts["export"]),
    ]
    for secret in case.secrets:
        if not secret.listed:
            assert [at(view, secret.place) for view in views] == [secret.value] * len(views), secret

    secret = data.draw(st.sampled_from(case.secrets), label="asked for")
    name, value = asked(secret)
    options = [f"--{name.replace('_', '-')}", value]
    found = [
        len(json.loads(printed(case, bench.database, "query", "--json", *options))["events"]),
        json.loads(printed(case, bench.database, "stats", "--json", *options))["events"],
        printed(case, bench.database, "export", *options).count('"event_id"'),
    ]
    assert found == [int(not secret.listed)] * 3


def asked(secret: Secret) -> tuple[str, str]:
    """Return the filter, and its value, that would find a value where it is stored."""
    names = {"actor_id": "actor", "resource_id": "resource_id", "payload": "q"}
    return names[secret.place[0]], secret.token


def first_line(text: str) -> Any:
    # Not splitlines: a text may hold U+2028, which ends no line of NDJSON.
    return json.loads(text.partition("\n")[0])


def csv_view(text: str) -> dict[str, Any]:
    names, row = list(csv.reader(io.StringIO(text, newline="")))[:2]
    view: dict[str, Any] = dict(zip(names, row, strict=True))
    return view | {"payload": json.loads(view["payload"])}
