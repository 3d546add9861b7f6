"""The query service: the routes of the audit trail over one store, its reads recorded in it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from tenaudit._kernel.extras import MissingExtra

try:
    from starlette.applications import Starlette
except ImportError as error:
    raise MissingExtra("demo", "starlette") from error

from tenaudit.adapters.starlette import audit_routes, install, internal_routes
from tenaudit.audit import AuditProducer, SinkUnavailable, StoreError
from tenaudit.gate import Gate
from tenaudit.security import SecuritySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tenaudit.audit import AuditEvent, Redactor, Store

__all__ = ["query_service"]

_SERVICE = "audit"


class _StoreSink:
    """Writes what the service records of its readers into the store that it serves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        try:
            await self._store.append(batch)
        except StoreError as error:
            raise SinkUnavailable(str(error)) from error

    async def close(self) -> None:
        """The store is closed by whoever opened it."""


@asynccontextmanager
async def query_service(
    store: Store, *, redactor: Redactor | None, cursor_keys: Sequence[bytes]
) -> AsyncIterator[Starlette]:
    """Give out the application; at the end what it has recorded is in the store.

    Args:
        store: what is served; closed by whoever opened it.
        redactor: what is hidden from readers without `audit_view_unredacted`; None hides nothing.
        cursor_keys: secrets that cursors are signed with.

    Raises:
        ConfigurationError: a cursor key is too short.
    """
    registry = CollectorRegistry()
    producer = AuditProducer(_StoreSink(store), service=_SERVICE, registry=registry)
    gate = Gate(_SERVICE, security=SecuritySettings(trust="mesh"), producer=producer, registry=registry)
    routes = audit_routes(gate, store, redactor=redactor, cursor_keys=cursor_keys)
    app = Starlette(routes=[*routes, *internal_routes(gate)])
    install(app, gate)
    async with producer:
        yield app
