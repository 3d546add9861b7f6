"""The audit routes in Starlette, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from starlette.applications import Starlette

from tenaudit.adapters.starlette import audit_routes, install
from tests.unit.adapters.audit_reads import OPTIONS, READER, TARGETS, check, gate_and_store


def test_each_route_answers(tmp_path: Path) -> None:
    gate, store = gate_and_store(tmp_path)
    app = Starlette(routes=audit_routes(gate, store, **OPTIONS))
    install(app, gate)

    async def main() -> list[tuple[int, str, bytes]]:
        async with store, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://audit") as client:
            answers = [await client.get(target, headers=READER) for target in TARGETS]
            return [(one.status_code, one.headers["content-type"], one.content) for one in answers]

    check(asyncio.run(main()))
