"""SQLite: the embedded stores and sink, from the standard library."""

from tenaudit.backends.sqlite.api_keys import SqliteApiKeyStore
from tenaudit.backends.sqlite.sink import SqliteSink
from tenaudit.backends.sqlite.store import SqliteStore

__all__ = ["SqliteApiKeyStore", "SqliteSink", "SqliteStore"]
