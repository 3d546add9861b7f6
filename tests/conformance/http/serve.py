"""Serves every variant of the shop in one framework: `python -m tests.conformance.http.serve NAME VARIANT=PORT...`."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import Any

HOST = "127.0.0.1"


def main(name: str, ports: dict[str, int]) -> None:
    make_app = import_module(f"tests.conformance.http.app_{name}").make_app
    {"starlette": uvicorn, "flask": gunicorn, "aiohttp": aiohttp}[name](make_app, ports)


def uvicorn(make_app: Any, ports: dict[str, int]) -> None:
    from uvicorn import Config, Server

    class Quiet(Server):
        def capture_signals(self) -> Any:
            from contextlib import nullcontext

            return nullcontext()

    async def serve() -> None:
        servers = [
            Quiet(Config(make_app(variant), host=HOST, port=port, log_level="warning", lifespan="off"))
            for variant, port in ports.items()
        ]
        await asyncio.gather(*(server.serve() for server in servers))

    asyncio.run(serve())


def gunicorn(make_app: Any, ports: dict[str, int]) -> None:
    from gunicorn.app.base import BaseApplication

    by_port: dict[str, Any] = {}

    def shop(environ: Any, start_response: Any) -> Any:
        return by_port[environ["SERVER_PORT"]](environ, start_response)

    class Shop(BaseApplication):
        def load_config(self) -> None:
            self.cfg.set("bind", [f"{HOST}:{port}" for port in ports.values()])
            self.cfg.set("workers", 1)
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", 4)
            self.cfg.set("loglevel", "warning")
            # As the guide for Flask says: no header of a request moves the root of its path.
            self.cfg.set("forwarder_headers", "")

        def load(self) -> Any:
            by_port.update({str(port): make_app(variant) for variant, port in ports.items()})
            return shop

    Shop().run()


def aiohttp(make_app: Any, ports: dict[str, int]) -> None:
    from aiohttp import web

    async def serve() -> None:
        for variant, port in ports.items():
            runner = web.AppRunner(make_app(variant))
            await runner.setup()
            await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    main(sys.argv[1], {variant: int(port) for variant, _, port in (item.partition("=") for item in sys.argv[2:])})
