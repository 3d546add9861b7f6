"""PostgreSQL: the store of events and its migrations, its dead letters, and the store of API keys."""

from tenaudit.backends.postgres.api_keys import PostgresApiKeyStore
from tenaudit.backends.postgres.dead_letters import PostgresDeadLetters
from tenaudit.backends.postgres.migrate import MigrationError, MigrationState, migrate, status
from tenaudit.backends.postgres.store import PostgresStore

__all__ = [
    "MigrationError",
    "MigrationState",
    "PostgresApiKeyStore",
    "PostgresDeadLetters",
    "PostgresStore",
    "migrate",
    "status",
]
