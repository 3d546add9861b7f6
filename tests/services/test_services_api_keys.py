"""API keys in a real PostgreSQL: the published suite, several gateways at once, a hanging server, what is stored."""

from __future__ import annotations

import asyncio
import uuid
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from tenaudit.backends.postgres import PostgresApiKeyStore
from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyChangeError,
    ApiKeyStoreError,
    new_api_key,
    rotate_api_key,
)
from tenaudit.testing.conformance import ApiKeyStoreConformance
from tenaudit.testing.proxy import TcpFaultProxy

pytestmark = pytest.mark.services

WITHIN = 20.0
TENANT = uuid.UUID(int=7)


async def execute(dsn, *statements):
    connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
    try:
        return [await connection.fetch(statement) for statement in statements]
    finally:
        await connection.close(timeout=WITHIN)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


@pytest.fixture
def dsn(postgres_service):
    schema = f"api_keys_{uuid.uuid4().hex}"
    run(execute(postgres_service.dsn, f"CREATE SCHEMA {schema}"))
    mark = "&" if urlsplit(postgres_service.dsn).query else "?"
    yield f"{postgres_service.dsn}{mark}search_path={schema}"
    run(execute(postgres_service.dsn, f"DROP SCHEMA {schema} CASCADE"))


def at(dsn, *, host=None, port=None, user=None, password=None):
    parts = urlsplit(dsn)
    name = user or parts.username
    word = parts.password if password is None else password
    there = f"{host or parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(word or '')}@{there}"))


class TestPostgresApiKeyStore(ApiKeyStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, dsn):
        self.dsn = dsn

    async def open_store(self, folder):
        return await PostgresApiKeyStore.connect(self.dsn)


def test_a_ready_pool_stays_its_makers(dsn):
    _, record = new_api_key(TENANT, ["Cashier"])

    async def main():
        async with asyncpg.create_pool(dsn, min_size=0, max_size=2) as pool:
            async with PostgresApiKeyStore(pool) as store:
                await store.put(record)
            with pytest.raises(ApiKeyStoreError, match="closed"):
                await store.get(record.prefix)
            assert await pool.fetchval("SELECT COUNT(*) FROM tenaudit_api_keys") == 1

    run(main())


def test_many_who_create_the_tables_at_once_all_succeed(dsn):
    async def main():
        stores = [PostgresApiKeyStore.connect(dsn) for _ in range(8)]
        records = [new_api_key(TENANT, [])[1] for _ in stores]
        await asyncio.gather(*(store.put(record) for store, record in zip(stores, records, strict=True)))
        assert len((await stores[0].list()).records) == len(records)
        await asyncio.gather(*(store.close() for store in stores))

    run(main())


def test_gateways_that_change_one_key_at_once_never_undo_its_end(dsn):
    async def main():
        stores = [await PostgresApiKeyStore.connect(dsn) for _ in range(4)]
        for _ in range(10):
            _, record = new_api_key(TENANT, ["Cashier"], created_at=1.0)
            await stores[0].put(record)
            done = await asyncio.gather(
                *(store.put(record) for store in stores),
                *(rotate_api_key(store, record.prefix, overlap=60.0) for store in stores),
                stores[1].revoke(record.prefix, 5.0),
                *(store.put(record) for store in stores),
                return_exceptions=True,
            )
            assert {type(one) for one in done if isinstance(one, Exception)} <= {ApiKeyChangeError}
            rotated = [one for one in done if isinstance(one, tuple)]
            now = await stores[2].get(record.prefix)
            assert now.revoked_at == 5.0
            assert [now.replaced_by] == ([fresh.prefix for _, fresh in rotated] or [None])
        await asyncio.gather(*(store.close() for store in stores))

    run(main())


def test_no_secret_is_in_the_table(dsn):
    async def main():
        async with PostgresApiKeyStore.connect(dsn) as store:
            key, record = new_api_key(TENANT, ["Cashier"], name="tills")
            await store.put(record)
            fresh_key, _ = await rotate_api_key(store, record.prefix)
        rows, versions = await execute(
            dsn, "SELECT t::text FROM tenaudit_api_keys AS t", "SELECT * FROM tenaudit_schema"
        )
        dump = f"{rows} {versions}"
        assert "tills" in dump
        for whole in (key, fresh_key):
            secret = whole[len(record.prefix) + 1 :]
            assert secret not in dump
            assert secret.encode().hex() not in dump

    run(main())


def test_a_gateway_needs_no_more_than_select(dsn):
    reader = f"reader_{uuid.uuid4().hex[:12]}"
    schema = dsn.rpartition("search_path=")[2]
    _, record = new_api_key(TENANT, ["Cashier"])

    async def main():
        async with PostgresApiKeyStore.connect(dsn) as store:
            await store.put(record)
        await execute(
            dsn,
            f"CREATE ROLE {reader} LOGIN PASSWORD 'reads'",
            f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        )
        try:
            async with PostgresApiKeyStore.connect(at(dsn, user=reader, password="reads")) as store:
                assert await store.get(record.prefix) == record
                with pytest.raises(ApiKeyStoreError, match=r"InsufficientPrivilegeError \(42501\)"):
                    await store.revoke(record.prefix, 1.0)
        finally:
            await execute(dsn, f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")

    run(main())


def test_a_server_that_hangs_is_given_up_at_the_deadline_and_is_503(dsn):
    key, record = new_api_key(TENANT, ["Cashier"])
    parts = urlsplit(dsn)

    async def main():
        loop = asyncio.get_running_loop()
        async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
            store = PostgresApiKeyStore.connect(at(dsn, host=proxy.host, port=proxy.port), deadline=0.5)
            check = ApiKeyAuthenticator(store)
            await store.put(record)
            assert await check.authenticate({"x-api-key": key}) is not None
            proxy.half_open()
            for change in (
                lambda: store.get(record.prefix),
                lambda: store.put(record),
                lambda: store.revoke(record.prefix, 1.0),
                store.list,
                lambda: rotate_api_key(store, record.prefix),
            ):
                began = loop.time()
                with pytest.raises(ApiKeyStoreError, match=r"no answer within 0\.5 s"):
                    await change()
                assert loop.time() - began < 3
            with pytest.raises(ApiError) as caught:
                await check.authenticate({"x-api-key": key})
            assert (caught.value.status, caught.value.code) == (503, "unavailable")
            proxy.heal()
            assert await check.authenticate({"x-api-key": key}) is not None
            proxy.half_open()
            began = loop.time()
            await store.close()
            assert loop.time() - began < 3

    run(main())


def test_a_server_that_hangs_between_two_statements_leaves_the_key_as_it_was(dsn):
    _, record = new_api_key(TENANT, ["Cashier"], created_at=1.0)
    parts = urlsplit(dsn)

    async def main():
        async with PostgresApiKeyStore.connect(dsn) as direct, TcpFaultProxy(parts.hostname, parts.port) as proxy:
            await direct.put(record)
            holder = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
            # The row is held, so the rotation hangs after its BEGIN.
            held = holder.transaction()
            await held.start()
            await holder.execute("SELECT 1 FROM tenaudit_api_keys FOR UPDATE")
            store = PostgresApiKeyStore.connect(at(dsn, host=proxy.host, port=proxy.port), deadline=0.5)
            with pytest.raises(ApiKeyStoreError, match="no answer"):
                await rotate_api_key(store, record.prefix)
            await held.rollback()
            await holder.close(timeout=WITHIN)
            assert (await direct.list()).records == (record,)
            await store.close()

    run(main())


def test_a_caller_that_goes_away_blocks_no_connection(dsn):
    _, record = new_api_key(TENANT, [])
    parts = urlsplit(dsn)

    async def main():
        async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
            store = PostgresApiKeyStore.connect(at(dsn, host=proxy.host, port=proxy.port), deadline=1.0)
            await store.put(record)
            proxy.half_open()
            waiting = [asyncio.ensure_future(store.put(record)) for _ in range(12)]
            await asyncio.wait(waiting, timeout=0.1)
            for one in waiting:
                one.cancel()
            _, stuck = await asyncio.wait(waiting, timeout=5)
            assert not stuck
            proxy.heal()
            await asyncio.gather(*(store.put(record) for _ in range(12)))
            await store.close()

    run(main())


@pytest.mark.parametrize("break_it", ["refuse", "accept_nowhere", "cut"])
def test_a_server_that_is_not_there_is_one_kind_of_error(dsn, break_it):
    parts = urlsplit(dsn)

    async def main():
        async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
            if break_it == "cut":
                proxy.cut(after=1, direction="downstream")
            else:
                getattr(proxy, break_it)()
            with pytest.raises(ApiKeyStoreError) as caught:
                await PostgresApiKeyStore.connect(at(dsn, host=proxy.host, port=proxy.port), deadline=0.5)
            assert caught.value.__cause__ is None

    run(main())


def test_the_password_stands_in_no_message(dsn):
    good = at(dsn, password="hunter2")
    wrong = [
        good,
        at(dsn, password="hunter2", user="nobody"),
        f"{good}&sslmode=bogus",
        f"{good}&port=hunter2",
        good.replace("@", "/@"),
        good.replace("@", ":x@"),
        "postgresql://u:hunter2@127.0.0.1:port/d",
        "postgresql://u:hunter2@127.0.0.1:0/d",
        "postgresql://[hunter2",
    ]

    async def main():
        for url in wrong:
            with pytest.raises(ApiKeyStoreError) as caught:
                await PostgresApiKeyStore.connect(url)
            assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caught.value!r}"

    run(main())


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "hunter2.db", ""])
def test_a_dsn_of_another_kind_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError, match="postgresql://USER") as caught:
        PostgresApiKeyStore.connect(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_a_deadline_is_needed(deadline):
    with pytest.raises(ConfigurationError, match="deadline"):
        PostgresApiKeyStore.connect("postgresql://h/d", deadline=deadline)


def test_a_newer_schema_is_refused_and_an_altered_row_is_told(dsn):
    _, record = new_api_key(TENANT, ["Cashier"])

    async def main():
        async with PostgresApiKeyStore.connect(dsn) as store:
            await store.put(record)
            await execute(dsn, "UPDATE tenaudit_api_keys SET secret_hash = 'short'")
            with pytest.raises(ApiKeyStoreError, match="altered: secret_hash"):
                await store.get(record.prefix)
        await execute(dsn, "UPDATE tenaudit_schema SET version = 99")
        with pytest.raises(ApiKeyStoreError, match="schema 99"):
            await PostgresApiKeyStore.connect(dsn)

    run(main())


def test_a_schema_of_other_parts_is_taken_over(dsn):
    async def main():
        await execute(
            dsn,
            "CREATE TABLE tenaudit_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)",
            "INSERT INTO tenaudit_schema VALUES ('other', 5)",
        )
        async with PostgresApiKeyStore.connect(dsn) as store:
            assert (await store.list()).records == ()

    run(main())


def test_the_command_line_keeps_keys_in_postgresql(dsn, monkeypatch, capsys):
    from tenaudit.cli import main

    monkeypatch.setenv("TENAUDIT_KEYS_STORE", dsn)
    assert main(["keys", "create", "--tenant", str(TENANT), "--role", "Cashier", "--name", "tills"]) == 0
    key = capsys.readouterr().out.strip()
    prefix = key[:15]
    assert main(["keys", "rotate", prefix, "--overlap", "0"]) == 0
    assert main(["keys", "revoke", capsys.readouterr().out[:15]]) == 0
    assert main(["keys", "list", "--json"]) == 0
    said = capsys.readouterr()
    assert said.out.count('"state": "revoked"') == 2
    assert key[16:] not in said.out + said.err
    monkeypatch.setenv("TENAUDIT_KEYS_STORE", at(dsn, password="hunter2"))
    assert main(["keys", "list"]) == 2
    said = capsys.readouterr().err
    assert said == "error: PostgreSQL refuses the user or the password (28P01); check both\n"
