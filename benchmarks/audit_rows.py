"""Event rows that PostgreSQL makes itself: a million of them in seconds, all of one tenant.

They have no leaves: what only reads events does not look at those.
"""

from __future__ import annotations

from uuid import UUID

from benchmarks.audit_database import execute
from benchmarks.audit_events import tenant

__all__ = ["ACTORS", "ROWS_TENANT", "event_id", "filled"]

ACTORS = 200
ROWS_TENANT = tenant(0)
_FIRST_MS = 1_768_435_200_000  # 2026-01-15
_MONTH = "2026-01-01"

_LOAD = f"""
INSERT INTO tenaudit.events
SELECT '{ROWS_TENANT}', (substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7000-8000-000000000000')::uuid,
  to_timestamp(({_FIRST_MS} + n) / 1000.0), 'user-' || n * 13 % {ACTORS}, 'user',
  (ARRAY['order.created', 'order.paid', 'payment.processed', 'payment.voided'])[n % 4 + 1],
  'order', 'o-' || n, 'success', 'info', 'orders', NULL, 1,
  '{{"amount":' || n || ',"currency":"EUR","method":"card","table":' || n % 40 || '}}', '[]',
  'orders-0123456789abcdef', n, sha256('x'), n
FROM generate_series(0, COUNT - 1) AS n, lpad(to_hex({_FIRST_MS} + n), 12, '0') AS ms
"""


def event_id(number: int) -> UUID:
    """Return the id of event *number*: they follow each other by a millisecond, from 0."""
    return UUID(int=(_FIRST_MS + number) << 80 | 7 << 76 | 2 << 62)


async def filled(dsn: str, count: int) -> None:
    """Put *count* events where all others were."""
    await execute(
        dsn,
        f"SELECT tenaudit.make_partition('{_MONTH}')",
        "TRUNCATE tenaudit.events",
        _LOAD.replace("COUNT", str(count)),
        # The log of a tenant is what tells that there is one.
        f"INSERT INTO tenaudit.logs (tenant_id, size) VALUES ('{ROWS_TENANT}', {count}) "
        f"ON CONFLICT (tenant_id) DO UPDATE SET size = {count}",
        "VACUUM ANALYZE tenaudit.events",
    )
