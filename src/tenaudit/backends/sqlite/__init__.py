"""SQLite: the embedded store and sink, from the standard library."""

from tenaudit.backends.sqlite.sink import SqliteSink
from tenaudit.backends.sqlite.store import SqliteStore

__all__ = ["SqliteSink", "SqliteStore"]
