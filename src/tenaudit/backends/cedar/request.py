"""A security context and a resource as Cedar reads them; and whether that resource is the caller's tenant's at all.

Rules of this file: pure. Ids travel as JSON strings, never inside policy text, so there is nothing to escape.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tenaudit.security.context import SecurityContext

__all__ = ["ACTION", "ROLE", "CedarRequest", "CedarResource", "cedar_request", "entity", "probes"]

ACTION = "Tenaudit::Action"
ROLE = "Tenaudit::Role"
_ACTOR = "Tenaudit::Actor"
_TENANT = "Tenaudit::Tenant"
_OPTIONAL = ("session_id", "user_agent")
# A resource of such a type could stand in for what the caller is.
_RESERVED = {ACTION, ROLE, _ACTOR}


class CedarRequest(NamedTuple):
    """The request and the entities, as `cedarpy.is_authorized` takes them."""

    body: dict[str, Any]
    entities: str


@dataclass(frozen=True, slots=True)
class CedarResource:
    """What a capability is needed on.

    Args:
        type: its entity type in the schema; `Invoice` means `Tenaudit::Invoice`.
        id: its id.
        attributes: None for the tenant itself, which has none.
    """

    type: str
    id: str
    attributes: Mapping[str, Any] | None

    @classmethod
    def of(cls, given: object, tenant_id: UUID) -> CedarResource:
        """Return the resource that a service gave, the tenant when it gave none.

        Raises:
            TypeError: it is no mapping, or a member has the wrong type.
            ValueError: it has members that nothing would look at, a reserved type, or Cedar's escapes as attributes.
        """
        if given is None:
            return cls(_TENANT, str(tenant_id), None)
        if not isinstance(given, Mapping):
            raise TypeError(f"a resource must be a mapping of type, id and attributes, not a {type(given).__name__}")
        kind, name, attributes = given.get("type"), given.get("id"), given.get("attributes", {})
        if not isinstance(kind, str) or not isinstance(name, str | UUID) or not isinstance(attributes, Mapping):
            raise TypeError("a resource needs a type and an id that are strings, and attributes that are a mapping")
        if given.keys() - {"type", "id", "attributes"}:
            raise ValueError("a resource has a type, an id and attributes, nothing else")
        kind = kind if "::" in kind else f"Tenaudit::{kind}"
        if kind in _RESERVED or _escapes(attributes):
            raise ValueError(
                "a resource is no actor, role or action, and its attributes have no names with __ in front"
            )
        return cls(kind, str(name), None if kind == _TENANT and not attributes else attributes)

    def foreign_to(self, tenant_id: UUID) -> bool:
        """Tell whether it says that it belongs to another tenant."""
        if self.type == _TENANT and self.id.lower() != str(tenant_id):
            return True
        return "tenant" in (self.attributes or ()) and not _same(self.attributes, tenant_id)


def _same(attributes: Mapping[str, Any] | None, tenant_id: UUID) -> bool:
    told = (attributes or {}).get("tenant")
    return told == tenant_id if isinstance(told, UUID) else isinstance(told, str) and told.lower() == str(tenant_id)


def cedar_request(ctx: SecurityContext, capability: str, resource: CedarResource, roles: Iterable[str]) -> CedarRequest:
    """Return what Cedar is asked for *ctx*, as if it held *roles*.

    Raises:
        TypeError: an attribute of the resource is no JSON value.
        ValueError: likewise.
    """
    tenant = str(ctx.tenant_id)
    facts = {"tenant": tenant, "auth_method": ctx.auth_method}
    facts.update((name, value) for name in _OPTIONAL if (value := getattr(ctx, name)) is not None)
    if (address := _address(ctx.client_ip)) is not None:
        facts["client_ip"] = address
    actor = ctx.actor.id or ""
    entities = [entity(_ACTOR, actor, {"tenant": tenant, "type": ctx.actor.type}, roles)]
    if resource.attributes is not None:
        # Written as in the context, so that a policy may compare the two.
        same = {"tenant": tenant} if "tenant" in resource.attributes else {}
        entities.append(entity(resource.type, resource.id, {**resource.attributes, **same}))
    body = {
        "principal": {"type": _ACTOR, "id": actor},
        "action": {"type": ACTION, "id": capability},
        "resource": {"type": resource.type, "id": resource.id},
        "context": facts,
    }
    return CedarRequest(body, json.dumps(entities, default=_plain))


def entity(kind: str, name: str, attributes: Mapping[str, Any], roles: Iterable[str] = ()) -> dict[str, Any]:
    """Return an entity in Cedar's JSON form."""
    parents = [{"type": ROLE, "id": role} for role in roles]
    return {"uid": {"type": kind, "id": name}, "attrs": dict(attributes), "parents": parents}


def probes(action: str) -> Iterator[CedarRequest]:
    """Yield the smallest and the largest request for *action*, to try a schema with."""
    actor = json.dumps([entity(_ACTOR, "probe", {"tenant": "", "type": "user"}, ["probe"])])
    facts = {"tenant": "", "auth_method": "header"}
    for context in (facts, facts | dict.fromkeys(_OPTIONAL, "") | {"client_ip": "127.0.0.1"}):
        yield CedarRequest(
            {
                "principal": {"type": _ACTOR, "id": "probe"},
                "action": {"type": ACTION, "id": action},
                "resource": {"type": _TENANT, "id": ""},
                "context": context,
            },
            actor,
        )


def _address(told: str | None) -> str | None:
    """Return an IP address as Cedar reads it; None for what is none, such as the name of a test client."""
    try:
        address = ipaddress.ip_address(told or "")
    except ValueError:
        return None
    # A range of IPv4 must hold for a caller who came over a socket of both families.
    mapped = getattr(address, "ipv4_mapped", None) or address
    return None if "%" in str(mapped) else str(mapped)


def _escapes(value: object) -> bool:
    """Tell whether a name in *value* begins as Cedar's own do: data of a customer must not become an entity."""
    if isinstance(value, Mapping):
        return any(str(name).startswith("__") or _escapes(each) for name, each in value.items())
    return isinstance(value, list | tuple) and any(map(_escapes, value))


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"an attribute of a resource must be a JSON value, not a {type(value).__name__}")
