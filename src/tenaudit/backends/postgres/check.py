"""Is this connection one that row-level security holds back, and is every table secured?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.backends.postgres.migrate import latest_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tenaudit.backends.postgres.pool import Session

__all__ = ["self_check"]


async def self_check(session: Session) -> None:
    """Refuse a database or a user with which tenants would not be kept apart.

    Raises:
        ConfigurationError: the tables are missing, older or newer than this version; the user is a superuser, bypasses
            row-level security, or may not read; or a table or partition is not secured. It names all that is wrong.
    """
    sql = load_statements("tenaudit.backends.postgres", "sql/check.sql")
    (there,) = await session.query(sql["has_schema"])
    if not there[0]:
        raise ConfigurationError("PostgreSQL has no tables of tenaudit; run tenaudit db migrate")
    (who,) = await session.query(sql["who"])
    if not who["may_read"]:
        raise ConfigurationError(f"the user {who['name']} may not read; grant tenaudit_reader or tenaudit_writer")
    (found,) = await session.query(sql["newest"])
    _check_version(found[0] or 0)
    wrong = [
        *_role_problems(who),
        *(_table_problem(row) for row in await session.query(sql["unsecured"])),
        *(
            f"the table {row['name']} has a policy {row['policy']} that is not tenaudit's"
            for row in await session.query(sql["policies"])
        ),
        *(
            f"the partition {row['name']} was granted to others than its owner"
            for row in await session.query(sql["granted"])
        ),
    ]
    if wrong:
        raise ConfigurationError(f"PostgreSQL would not keep tenants apart: {'; '.join(wrong)}")


def _check_version(found: int) -> None:
    wanted = latest_version()
    if found < wanted:
        raise ConfigurationError(f"PostgreSQL has version {found} of {wanted}; run tenaudit db migrate")
    if found > wanted:
        raise ConfigurationError(f"PostgreSQL has version {found}, this tenaudit knows {wanted}; upgrade tenaudit")


def _role_problems(who: Any) -> Iterator[str]:
    name = who["name"]
    if who["is_superuser"]:
        yield f"the user {name} is a superuser, whom row-level security does not hold back"
        return
    if who["bypasses"]:
        yield f"the user {name} has BYPASSRLS"
    if who["is_lister"]:
        yield f"the user {name} is a member of tenaudit_lister, which nobody may be"


def _table_problem(row: Any) -> str:
    if not row["is_enabled"]:
        return f"the table {row['name']} has no row-level security"
    whose = "the user, who owns it" if row["is_own"] else "its owner"
    return f"row-level security is not forced on the table {row['name']} for {whose}"
