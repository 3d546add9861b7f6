"""Who did it, by CloudTrail's `userIdentity`: one table for the type, one order for the name.

Source: "CloudTrail userIdentity element" of the AWS CloudTrail User Guide.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTOR_TYPES", "CloudTrailActor", "actor_of"]

# People first, then what acts for itself. A role is what software assumes; people who do so come by SSO, below.
ACTOR_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "Root": "user",
        "IAMUser": "user",
        "FederatedUser": "user",
        "SAMLUser": "user",
        "WebIdentityUser": "user",
        "IdentityCenterUser": "user",
        "Directory": "user",
        "AssumedRole": "service",
        "Role": "service",
        "AWSAccount": "service",
        "AWSService": "service",
    }
)
# IAM Identity Center signs people in through roles of this prefix, which nobody else may create.
_ROLES_OF_PEOPLE = ":assumed-role/AWSReservedSSO_"
_ANONYMOUS = frozenset({"ANONYMOUS_PRINCIPAL", "anonymous"})
# The first that is there names the actor; an ARN alone is the same in every record of one actor.
_NAMES = ("arn", "principalId", "userName", "invokedBy", "accountId")
_MAX_ID = 1024


class CloudTrailActor(NamedTuple):
    """Who a record says it was."""

    id: str | None
    type: str


def actor_of(identity: Mapping[str, Any]) -> CloudTrailActor:
    """Return the actor of a `userIdentity`.

    The id is the first of `arn`, `principalId`, `userName`, `invokedBy`, `accountId` that is there. The type is
    looked up in `ACTOR_TYPES`; an identity with `invokedBy` and no known type is a `service`, one without a name
    is `anonymous`, and a type that AWS adds later is `system`.

    >>> actor_of({"type": "AWSService", "invokedBy": "inspector2.amazonaws.com"})
    CloudTrailActor(id='inspector2.amazonaws.com', type='service')
    """
    names = [name for key in _NAMES if isinstance(name := identity.get(key), str) and 0 < len(name) <= _MAX_ID]
    if not names or not _ANONYMOUS.isdisjoint(names):
        return CloudTrailActor(None, "anonymous")
    if _ROLES_OF_PEOPLE in names[0]:
        return CloudTrailActor(names[0], "user")
    kind = identity.get("type")
    known = ACTOR_TYPES.get(kind) if isinstance(kind, str) else None
    if known is None:
        known = "service" if isinstance(identity.get("invokedBy"), str) else "system"
    return CloudTrailActor(names[0], known)
