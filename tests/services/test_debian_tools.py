"""Tools that only Debian packages bring: promtool reads our metrics, PgBouncer stands between us and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from tenaudit import ApiError, AuditProducer, Gate, extract_context
from tenaudit.backends.memory import MemorySink
from tenaudit.testing.services import port, process

pytestmark = pytest.mark.debian


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{name} comes with a Debian package, which this machine does not have")
    return path


def used_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    producer = AuditProducer(MemorySink(), service="shop", registry=registry)
    gate = Gate("shop", registry=registry, producer=producer, limits=["10/minute"])
    context = extract_context({"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-Roles": "Cashier"})
    gate.policy.check(context, "payment_process")
    with pytest.raises(ApiError):
        gate.policy.check(context, "gdpr_manage")
    gate.settle("GET", "/orders/{id}", 200, 0.01)
    gate.reply(ApiError.not_found(), context.trace)
    producer.emit("no.context")
    return registry


def test_promtool_finds_nothing_in_our_metrics() -> None:
    promtool = tool("promtool")
    text = generate_latest(used_registry())
    assert b"capability_denials_total" in text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_prometheus_scrapes_a_running_service(tmp_path: Path) -> None:
    prometheus = tool("prometheus")
    registry = used_registry()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    listen = port.free_port()
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n"
        "- job_name: shop\n"
        "  scrape_interval: 1s\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{server.server_port}']}}]\n"
    )
    program = process.Program(
        (
            prometheus,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{listen}",
        ),
        tmp_path,
        tmp_path / "prometheus.log",
    )

    def denials() -> str | None:
        url = f"http://127.0.0.1:{listen}/api/v1/query?query=capability_denials_total"
        try:
            result = json.load(urlopen(url, timeout=1))["data"]["result"]
        except OSError:
            return None
        return result[0]["value"][1] if result else None

    try:
        with process.running(program) as child:
            assert process.wait_ready(child, denials, within=30) == "1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.mark.services
def test_a_query_passes_pgbouncer_in_transaction_mode(tenaudit_services: Any, tmp_path: Path) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    pgbouncer = tool("pgbouncer")
    server = urlsplit(tenaudit_services.postgres.dsn)
    listen = port.free_port()
    users = tmp_path / "users.txt"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={server.hostname} port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\n"
    )
    as_root = os.geteuid() == 0
    if as_root:  # PgBouncer refuses to run as root: nobody must be able to reach its files
        for path in (tmp_path, *tmp_path.parents[:-1]):
            path.chmod(path.stat().st_mode | 0o055)
        users.chmod(0o644)
    account = process.Account(65534, 65534) if as_root else None
    program = process.Program((pgbouncer, str(config)), tmp_path, tmp_path / "pgbouncer.log", account=account)

    async def ask() -> int:
        # Transaction pooling moves a session between servers, so a prepared statement may not be cached.
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=listen,
            user=server.username,
            password=server.password,
            database=server.path.lstrip("/"),
            statement_cache_size=0,
            timeout=5,
        )
        try:
            return await connection.fetchval("SELECT 40 + 2", timeout=5)
        finally:
            await connection.close(timeout=5)

    with process.running(program) as child:
        process.wait_ready(child, lambda: port.accepts(listen, within=0.2) or None, within=10)
        assert asyncio.run(ask()) == 42
