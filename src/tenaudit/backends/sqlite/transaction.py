"""One transaction on a connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = ["transaction"]


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Begin a transaction of a kind, and commit it at the end of the block or roll it back when that raises."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        # In here: a commit that fails, as on a full disk, leaves its transaction open.
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
