r"""AWS CloudTrail: one record of a log file as one event.

Rules of this file: pure; the same record gives the same event, and what cannot be one raises `Refused`.

=============  ======================================================================================
field          from
=============  ======================================================================================
`event_id`     UUIDv7 of the milliseconds of `eventTime` and SHA-256 of `cloudtrail:` + `eventID`
`tenant_id`    the caller's, else UUIDv5 of `recipientAccountId`, else of `userIdentity.accountId`
`occurred_at`  `eventTime`
`action`       service and `eventName` in snake case: `iam.create_user`
`service`      `eventSource` without its AWS domain: `iam`
`actor_*`      `userIdentity`, see `tenaudit.audit.importers.cloudtrail_identity`
`resource_*`   `resources` or `requestParameters`, see `tenaudit.audit.importers.cloudtrail_resource`
`outcome`      `errorCode`: absent is `success`, a refused permission `denied`, every other `failure`;
               a failed console sign-in, which has no code, is a `failure` too
`severity`     `security` for `denied` and failed sign-ins, `warn` for another `failure`, else `info`
`payload`      the whole record, see `tenaudit.audit.importers.storable`
=============  ======================================================================================
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit.event import ACTION_PATTERN
from tenaudit.audit.importers.cloudtrail_identity import actor_of
from tenaudit.audit.importers.cloudtrail_resource import resource_of
from tenaudit.audit.importers.fields import event_of, object_of, required_text
from tenaudit.audit.importers.importer import Found, Refused
from tenaudit.audit.importers.json_records import records_under
from tenaudit.audit.importers.moment import unix_ms
from tenaudit.audit.importers.names import snake_case
from tenaudit.audit.importers.storable import storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenaudit.audit.event import AuditEvent, Outcome, Severity

__all__ = ["ACCOUNT_NAMESPACE", "CloudTrailImporter", "tenant_of_account"]

ACCOUNT_NAMESPACE: Final = UUID("c8818330-c463-5c4a-a783-f541964e8585")
"""Namespace of the tenants of AWS accounts: UUIDv5 of `cloudtrail.amazonaws.com` in the DNS namespace."""

_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z")
_DOMAIN = re.compile(r"\.(?:amazonaws\.com(?:\.cn)?|aws\.internal|api\.aws)\Z")
# Every service has its own word for a missing permission; these parts are what they share.
_DENIALS = ("AccessDenied", "Unauthorized", "NotAuthorized", "AuthorizationError", "Forbidden", "AuthFailure")
_MAX_ACTION = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tenant_of_account(account_id: str) -> UUID:
    """Return the tenant of an AWS account.

    >>> tenant_of_account("123456789012").version
    5
    """
    return uuid5(ACCOUNT_NAMESPACE, account_id)


class CloudTrailImporter:
    """Reads `{"Records": [...]}` as CloudTrail delivers it.

    Example:
        >>> event = CloudTrailImporter().event({
        ...     "eventID": "8b5b9a8c-5f2a-4f64-a6a3-9f3f0d1c2b3a", "eventTime": "2023-07-10T11:45:12Z",
        ...     "eventSource": "iam.amazonaws.com", "eventName": "CreateUser", "recipientAccountId": "123456789012",
        ...     "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice"}})
        >>> event.action, event.actor_type, event.outcome
        ('iam.create_user', 'user', 'success')
    """

    __slots__ = ()

    name = "cloudtrail"

    about = 'files as AWS CloudTrail delivers them, {"Records": [...]}'
    needs_tenant = False

    def records(self, text: str) -> Iterator[Found]:
        """Yield the records of a log file.

        Raises:
            BrokenFile: it is no JSON object with an array `Records`.
        """
        return map(Found, records_under(text, "Records"))

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record.

        Args:
            record: a record as `json` reads it.
            tenant_id: whose event it is; by default the tenant of the account.

        Raises:
            Refused: `not_an_object`, `missing_field`, `invalid_time`, `invalid_action`, `missing_account`,
                `invalid_event`, or a reason of `storable`.
        """
        payload, tags = storable(object_of(record))
        moment = _moment(required_text(payload, "eventTime"))
        service = snake_case(_DOMAIN.sub("", required_text(payload, "eventSource")))
        listed = payload.get("userIdentity")
        identity: Mapping[str, Any] = listed if isinstance(listed, dict) else {}
        actor = actor_of(identity)
        resource = resource_of(payload, service)
        outcome, severity = _result(payload)
        return event_of(
            event_id=uuid7_from_source(unix_ms(moment), f"cloudtrail:{required_text(payload, 'eventID')}"),
            tenant_id=tenant_id or _tenant(payload, identity),
            occurred_at=moment,
            actor_id=actor.id,
            actor_type=actor.type,
            action=_action(service, required_text(payload, "eventName")),
            resource_type=resource.type,
            resource_id=resource.id,
            outcome=outcome,
            severity=severity,
            service=service,
            payload=payload,
            redactions=tags,
        )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if _TIME.match(text) else None
    except ValueError:
        moment = None
    if moment is None or moment < _EPOCH:
        raise Refused("invalid_time", "eventTime is no UTC time such as 2023-07-10T11:45:12Z since 1970")
    return moment


def _tenant(record: Mapping[str, Any], identity: Mapping[str, Any]) -> UUID:
    for account in (record.get("recipientAccountId"), identity.get("accountId")):
        if isinstance(account, str) and _ACCOUNT.match(account):
            return tenant_of_account(account)
    raise Refused("missing_account", "the record names no account of 12 digits; give the tenant")


def _action(service: str, name: str) -> str:
    action = f"{service}.{snake_case(name)}"
    if len(action) > _MAX_ACTION or ACTION_PATTERN.match(action) is None:
        raise Refused("invalid_action", "eventSource and eventName give no dotted name of at most 128 characters")
    return action


def _result(record: Mapping[str, Any]) -> tuple[Outcome, Severity]:
    code = record.get("errorCode")
    if isinstance(code, str) and code:
        return ("denied", "security") if any(part in code for part in _DENIALS) else ("failure", "warn")
    response = record.get("responseElements")
    name = record.get("eventName")
    # Sign-ins answer {"ConsoleLogin": "Failure"} and carry an error message, but no code.
    if isinstance(response, dict) and isinstance(name, str) and response.get(name) == "Failure":
        return "failure", "security"
    return ("failure", "warn") if record.get("errorMessage") else ("success", "info")
