"""A PgBouncer in transaction mode, with one server connection for everybody."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import pytest

from tenaudit.testing.services import port, process
from tests.unit.backends.postgres_databases import at


def pgbouncer_path():
    """The program, or a skip."""
    path = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("pgbouncer comes with a Debian package, which this machine does not have")
    return path


@contextmanager
def behind_pgbouncer(dsn, folder, *others):
    """Give out the DSN of the same user and database through a PgBouncer that also knows the users of *others*."""
    listen = port.free_port()
    parts = urlsplit(dsn)
    users = folder / "users.txt"
    known = (urlsplit(one) for one in (dsn, *others))
    users.write_text("".join(f'"{one.username}" "{unquote(one.password or "")}"\n' for one in known), encoding="utf-8")
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 1\n",
        encoding="utf-8",
    )
    as_root = os.geteuid() == 0
    if as_root:  # PgBouncer refuses to run as root: nobody must be able to reach its files
        for path in (folder, *folder.parents[:-1]):
            path.chmod(path.stat().st_mode | 0o055)
        users.chmod(0o644)
    account = process.Account(65534, 65534) if as_root else None
    program = process.Program((pgbouncer_path(), str(config)), folder, folder / "pgbouncer.log", account=account)
    with process.running(program) as child:
        process.wait_ready(child, lambda: port.accepts(listen) or None, within=30)
        yield at(dsn, port=listen, user=parts.username, password=unquote(parts.password or ""))
