"""The query service: the routes of the audit trail over one store, its reads recorded in it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra

try:
    from starlette.applications import Starlette
except ImportError as error:
    raise MissingExtra("serve", "starlette") from error

from tenaudit.adapters.starlette import audit_routes, install, internal_routes
from tenaudit.audit import AuditProducer, SinkUnavailable, StoreError
from tenaudit.gate import Gate
from tenaudit.policy import PolicyFile
from tenaudit.security import SecuritySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tenaudit.audit import AuditEvent, EventRedactor, Store

__all__ = ["query_service"]

_SERVICE = "audit"
_VIEW = "audit_view"


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
    store: Store,
    *,
    redactor: EventRedactor | None,
    cursor_keys: Sequence[bytes],
    policy: Path | None = None,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[Starlette]:
    """Give out the application; at the end what it has recorded is in the store.

    Args:
        store: what is served; closed by whoever opened it.
        redactor: what is hidden from readers without `audit_view_unredacted`; None hides nothing.
        cursor_keys: secrets that cursors are signed with.
        policy: file of the matrix that decides, read again when it changes; the default matrix when None.
        registry: where its metrics live, which it answers with; one of its own when None.

    Raises:
        ConfigurationError: a cursor key is too short, or the file cannot be loaded or lets nobody read.
    """
    registry = registry or CollectorRegistry()
    decides = None if policy is None else _policy(policy, registry)
    security = (
        SecuritySettings(trust="mesh")
        if decides is None
        else SecuritySettings(trust="mesh", known_roles=sorted(decides.matrix.roles))
    )
    producer = AuditProducer(_StoreSink(store), service=_SERVICE, registry=registry)
    gate = Gate(_SERVICE, security=security, policy=decides, producer=producer, registry=registry)
    routes = audit_routes(gate, store, redactor=redactor, cursor_keys=cursor_keys)
    app = Starlette(routes=[*routes, *internal_routes(gate)])
    install(app, gate)
    async with producer:
        yield app


def _policy(path: Path, registry: CollectorRegistry) -> PolicyFile:
    policy = PolicyFile(path, registry=registry)
    if not policy.matrix.roles_for(_VIEW):
        raise ConfigurationError(f"{path} gives {_VIEW} to no role, so nobody could read the trail")
    return policy
