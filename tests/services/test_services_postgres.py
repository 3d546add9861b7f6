"""PostgreSQL from the wheel: a round trip, its password, its end."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tenaudit.testing.services import PostgresService, postgres
from tenaudit.testing.services.port import accepts, free_port
from tenaudit.testing.services.postgresql import postgres_install

pytestmark = pytest.mark.services

WITHIN = 10.0


def port_of(service: PostgresService) -> int:
    port = urlsplit(service.dsn).port
    assert port is not None
    return port


async def one(dsn: str, query: str):
    connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close(timeout=WITHIN)


def test_a_value_survives_a_table(postgres_service):
    async def round_trip():
        connection = await asyncpg.connect(postgres_service.dsn, timeout=WITHIN, command_timeout=WITHIN)
        try:
            await connection.execute("CREATE SCHEMA services_smoke")
            await connection.execute("CREATE TABLE services_smoke.note (id bigint PRIMARY KEY, body jsonb)")
            await connection.execute("INSERT INTO services_smoke.note VALUES ($1, $2)", 7, '{"text": "é"}')
            return await connection.fetchval("SELECT body ->> 'text' FROM services_smoke.note WHERE id = 7")
        finally:
            await connection.execute("DROP SCHEMA services_smoke CASCADE")
            await connection.close(timeout=WITHIN)

    assert asyncio.run(round_trip()) == "é"


def test_the_version_is_the_servers_own(postgres_service):
    if postgres_service.kind == "external":
        pytest.skip("an external server is not asked for its version")
    assert asyncio.run(one(postgres_service.dsn, "SHOW server_version")) == postgres_service.version
    assert postgres_service.version.startswith("18.")


def test_a_wrong_password_is_refused(postgres_service):
    parts = urlsplit(postgres_service.dsn)
    if postgres_service.kind == "external" or parts.password is None:
        pytest.skip("an external server has rules of its own")
    wrong = urlunsplit(parts._replace(netloc=parts.netloc.replace(parts.password, "wrong")))
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(one(wrong, "SELECT 1"))


def test_the_dsn_stays_out_of_the_repr(postgres_service):
    assert postgres_service.dsn not in repr(postgres_service)


def test_the_block_ends_the_server_although_a_client_is_connected(monkeypatch, postgres_service):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)

    async def hold_on_to_the_end():
        with postgres() as service:
            connection = await asyncpg.connect(service.dsn, timeout=WITHIN)
            pid, folder = await connection.fetchrow(
                "SELECT pg_backend_pid(), current_setting('data_directory')", timeout=WITHIN
            )
            os.kill(pid, 0)
        connection.terminate()
        return service, pid, folder

    service, pid, folder = asyncio.run(hold_on_to_the_end())
    assert not accepts(port_of(service))
    assert not Path(folder).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_port_that_is_taken_is_not_the_end(monkeypatch, postgres_service):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with postgres() as first:
        ports = iter([port_of(first), free_port()])
        with postgres(pick_port=lambda: next(ports)) as second:
            assert port_of(second) != port_of(first)
            assert asyncio.run(one(second.dsn, "SELECT 1")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_root_may_keep_the_wheel_where_nobody_else_can_read(monkeypatch, tmp_path, postgres_service):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    package = postgres_install().parent
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, secret / folder.name, ignore=shutil.ignore_patterns("include", "pginstall"))
    monkeypatch.syspath_prepend(secret)
    assert postgres_install().is_relative_to(secret)
    with postgres() as service:
        assert asyncio.run(one(service.dsn, "SELECT 1")) == 1


def test_an_external_server_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://app@127.0.0.1:1/app")
    with postgres() as service:
        assert service == PostgresService(dsn="postgresql://app@127.0.0.1:1/app", kind="external")
