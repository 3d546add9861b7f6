"""`python -m benchmarks.naive_export --tenant ID --format ndjson|csv`: all rows at once, then one line of text each.

The database comes in the environment as `TENAUDIT_STORE`.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from typing import Any

__all__ = ["main"]


def main(kind: str, tenant: str) -> None:
    rows = [dict(row) for row in asyncio.run(_rows(tenant))]
    for row in rows:
        row["payload"] = json.loads(row["payload"])
    if kind == "ndjson":
        sys.stdout.write("\n".join(json.dumps(row, default=str) for row in rows))
    else:
        writer = csv.writer(sys.stdout)
        writer.writerow(rows[0])
        writer.writerows(
            [json.dumps(value) if isinstance(value, dict) else value for value in row.values()] for row in rows
        )


async def _rows(tenant: str) -> list[Any]:
    import asyncpg

    connection = await asyncpg.connect(os.environ["TENAUDIT_STORE"])
    try:
        async with connection.transaction(readonly=True):
            await connection.execute("SELECT set_config('tenaudit.tenants', $1, true)", tenant)
            rows: list[Any] = await connection.fetch(
                "SELECT * FROM tenaudit.events WHERE tenant_id = $1 ORDER BY event_id DESC", tenant
            )
            return rows
    finally:
        await connection.close()


if __name__ == "__main__":
    _, _, tenant, _, kind = sys.argv
    main(kind, tenant)
