"""Which OCSF class an action is, and which activity of it: tables, and nothing else.

Source: OCSF 1.3.0, classes Entity Management, Authentication and API Activity.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit.audit.mappers.verbs import is_about_identity, verb_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.mappers.verbs import Verb

__all__ = ["API_ACTIVITY", "AUTHENTICATION", "ENTITY_MANAGEMENT", "OTHER", "EventClass", "class_of"]

OTHER = 99
"""The activity of what a class has no name for; `activity_name` then is the source's word."""


@dataclass(frozen=True, slots=True)
class EventClass:
    """A class of OCSF.

    Args:
        uid: `class_uid`.
        name: `class_name`.
        category_uid: `category_uid`.
        category_name: `category_name`.
        activities: `activity_id` and `activity_name` of each verb.

    Example:
        >>> API_ACTIVITY.activities["delete"]
        (4, 'Delete')
    """

    uid: int
    name: str
    category_uid: int
    category_name: str
    activities: Mapping[Verb, tuple[int, str]]


ENTITY_MANAGEMENT = EventClass(
    3004,
    "Entity Management",
    3,
    "Identity & Access Management",
    MappingProxyType(
        {
            "create": (1, "Create"),
            "read": (2, "Read"),
            "update": (3, "Update"),
            "delete": (4, "Delete"),
            "move": (5, "Move"),
            "enable": (8, "Enable"),
            "disable": (9, "Disable"),
            "suspend": (12, "Suspend"),
            "resume": (13, "Resume"),
        }
    ),
)
AUTHENTICATION = EventClass(
    3002,
    "Authentication",
    3,
    "Identity & Access Management",
    MappingProxyType({"login": (1, "Logon"), "logout": (2, "Logoff")}),
)
API_ACTIVITY = EventClass(
    6003,
    "API Activity",
    6,
    "Application Activity",
    MappingProxyType(
        {
            "create": (1, "Create"),
            "read": (2, "Read"),
            "update": (3, "Update"),
            "delete": (4, "Delete"),
            "move": (3, "Update"),
            "enable": (3, "Update"),
            "disable": (3, "Update"),
            "suspend": (3, "Update"),
            "resume": (3, "Update"),
        }
    ),
)


def class_of(event: AuditEvent) -> tuple[EventClass, int, str]:
    """Return the class of an event, the number of its activity and its name.

    Signing in and out is Authentication; managing an identity that the event names is Entity Management; everything
    else, denials of a capability too, is API Activity.
    """
    verb = verb_of(event.action)
    if verb in AUTHENTICATION.activities:
        chosen = AUTHENTICATION
    elif verb in ENTITY_MANAGEMENT.activities and event.resource_id and is_about_identity(event):
        chosen = ENTITY_MANAGEMENT
    else:
        chosen = API_ACTIVITY
    number, name = chosen.activities.get(verb, (OTHER, event.action.rpartition(".")[2]))
    return chosen, number, name
