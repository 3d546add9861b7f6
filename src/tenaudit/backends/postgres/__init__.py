"""PostgreSQL: the store of events and its migrations, and the store of API keys."""

from tenaudit.backends.postgres.api_keys import PostgresApiKeyStore
from tenaudit.backends.postgres.migrate import MigrationError, MigrationState, migrate, status
from tenaudit.backends.postgres.store import PostgresStore

__all__ = ["MigrationError", "MigrationState", "PostgresApiKeyStore", "PostgresStore", "migrate", "status"]
