"""PostgreSQL, through asyncpg: the store of API keys that several gateways share."""

from tenaudit.backends.postgres.api_keys import PostgresApiKeyStore

__all__ = ["PostgresApiKeyStore"]
