"""The audit routes in aiohttp, on a socket of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web

from tenaudit.adapters.aiohttp import audit_routes, install
from tests.unit.adapters.audit_reads import OPTIONS, READER, TARGETS, check, gate_and_store


def test_each_route_answers(tmp_path: Path) -> None:
    gate, store = gate_and_store(tmp_path)
    app = web.Application()
    app.add_routes(audit_routes(gate, store, **OPTIONS))
    install(app, gate)

    async def main() -> list[tuple[int, str, bytes]]:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        answers = []
        try:
            async with store, ClientSession(timeout=ClientTimeout(10), headers=READER) as client:
                for target in TARGETS:
                    async with client.get(f"http://127.0.0.1:{runner.addresses[0][1]}{target}") as one:
                        answers.append((one.status, one.headers["content-type"], await one.read()))
        finally:
            await runner.cleanup()
        return answers

    check(asyncio.run(main()))
