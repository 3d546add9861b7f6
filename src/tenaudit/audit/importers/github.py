r"""GitHub audit log: one entry of an organization's or an enterprise's export as one event.

Rules of this file: pure; the same record gives the same event, and what cannot be one raises `Refused`.

=============  ======================================================================================
field          from
=============  ======================================================================================
`event_id`     UUIDv7 of the milliseconds of the time and SHA-256 of `github:` + `_document_id`
`tenant_id`    the caller's, else UUIDv5 of `org`, else of `business`, without regard to case
`occurred_at`  `@timestamp`, else `created_at`
`action`       `action`: `repo.create`, `org.add_member`
`service`      `github`
`actor_*`      `actor`, else `actor_id`; a bot is a `service`
`resource_*`   the first of `RESOURCES` that is there
`outcome`      `status_code` of API requests: 401 and 403 are `denied`, others from 400 on a `failure`;
               an action that says `failed` is a `failure` too; everything else is `success`
`severity`     `security` for `denied` and failed sign-ins, `warn` for another `failure`, else `info`
`payload`      the whole record, see `tenaudit.audit.importers.storable`
=============  ======================================================================================

Source: "Audit log events for your organization" and "... your enterprise" of the GitHub documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit.importers.fields import (
    dotted_action,
    event_of,
    first_text,
    object_of,
    required_text,
    text_of,
)
from tenaudit.audit.importers.importer import Found, Refused
from tenaudit.audit.importers.json_documents import documents, lines
from tenaudit.audit.importers.moment import moment_of_ms, unix_ms
from tenaudit.audit.importers.storable import storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenaudit.audit.event import AuditEvent, Outcome, Severity

__all__ = ["ORGANIZATION_NAMESPACE", "RESOURCES", "GitHubImporter", "tenant_of_organization"]

ORGANIZATION_NAMESPACE: Final = UUID("7dcc8e44-63b9-5f97-b076-5cbb684bd960")
"""Namespace of the tenants of GitHub organizations: UUIDv5 of `audit-log.github.com` in the DNS namespace."""

RESOURCES: tuple[tuple[str, str], ...] = (
    ("repo", "repository"),
    ("team", "team"),
    ("user", "user"),
    ("org", "organization"),
    ("business", "enterprise"),
)
"""The fields that name what was acted on, the narrowest first, and the type of each."""

_MAX_ID = 1024


def tenant_of_organization(name: str) -> UUID:
    """Return the tenant of a GitHub organization or enterprise; its name has no case.

    >>> tenant_of_organization("Octo-Org") == tenant_of_organization("octo-org")
    True
    """
    return uuid5(ORGANIZATION_NAMESPACE, name.lower())


class GitHubImporter:
    """Reads a JSON array of entries, as the export and the API give it, or one entry a line, as streaming does.

    Example:
        >>> event = GitHubImporter().event({
        ...     "@timestamp": 1720742400000, "_document_id": "d1", "action": "repo.create",
        ...     "actor": "octocat", "org": "octo-org", "repo": "octo-org/docs"})
        >>> event.action, event.resource_type, event.resource_id
        ('repo.create', 'repository', 'octo-org/docs')
    """

    __slots__ = ()

    name = "github"
    about = "the audit log of a GitHub organization or enterprise, a JSON array or an entry a line"
    needs_tenant = False

    def records(self, text: str) -> Iterator[Found]:
        """Yield the entries of a file.

        Raises:
            BrokenFile: `invalid_json` or `json_too_deep`.
        """
        return documents(text)

    def lines(self, text: str, first: int) -> Iterator[Found]:
        """Yield the entries of whole lines, the first of which has the number *first*."""
        return lines(text, first)

    def event(self, record: Any, tenant_id: UUID | None = None) -> AuditEvent:
        """Return the event of a record.

        Args:
            record: a record as `json` reads it.
            tenant_id: whose event it is; by default the tenant of the organization.

        Raises:
            Refused: `not_an_object`, `missing_field`, `missing_organization`, `invalid_time`, `invalid_action`,
                `invalid_event`, or a reason of `storable`.
        """
        payload, tags = storable(object_of(record))
        source = f"github:{required_text(payload, '_document_id')}"
        moment = (
            moment_of_ms(payload["@timestamp"], "@timestamp")
            if payload.get("@timestamp") is not None
            else moment_of_ms(payload.get("created_at"), "created_at")
        )
        action = dotted_action(required_text(payload, "action").split("."))
        actor_id, actor_type = _actor(payload)
        resource_type, resource_id = _resource(payload)
        outcome, severity = _result(payload, action)
        return event_of(
            event_id=uuid7_from_source(unix_ms(moment), source),
            tenant_id=tenant_id or _tenant(payload),
            occurred_at=moment,
            actor_id=actor_id,
            actor_type=actor_type,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            outcome=outcome,
            severity=severity,
            service="github",
            payload=payload,
            redactions=tags,
        )


def _tenant(record: Mapping[str, Any]) -> UUID:
    name = first_text(record, ("org", "business"), _MAX_ID)
    if name is None:
        raise Refused("missing_organization", "the record names no org and no business; give the tenant")
    return tenant_of_organization(name)


def _actor(record: Mapping[str, Any]) -> tuple[str | None, str]:
    name, number = text_of(record.get("actor"), _MAX_ID), record.get("actor_id")
    if name is None and type(number) is int:
        name = str(number)
    if name is None:
        return None, "anonymous"
    return name, "service" if record.get("actor_is_bot") is True or name.endswith("[bot]") else "user"


def _resource(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    for field, kind in RESOURCES:
        if (name := text_of(record.get(field), _MAX_ID)) is not None:
            return kind, name
    return None, None


def _result(record: Mapping[str, Any], action: str) -> tuple[Outcome, Severity]:
    code = record.get("status_code")
    status = code if type(code) is int else 0
    if status in {401, 403}:
        return "denied", "security"
    words = action.replace(".", "_").split("_")
    if "failed" in words:
        return "failure", "security" if "login" in words else "warn"
    return ("failure", "warn") if status >= 400 else ("success", "info")
