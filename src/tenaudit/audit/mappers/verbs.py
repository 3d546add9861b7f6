"""What kind of thing an action does, by the words of its name: the one table behind every mapping.

Rules of this file: pure; the table is data, and linear time in the length of the action.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.event import AuditEvent

__all__ = ["IDENTITY_WORDS", "VERBS", "Verb", "is_about_identity", "verb_of", "words_of"]

Verb = Literal[
    "create",
    "read",
    "update",
    "delete",
    "move",
    "enable",
    "disable",
    "suspend",
    "resume",
    "login",
    "logout",
    "other",
]

VERBS: Mapping[Verb, str] = MappingProxyType(
    {
        "create": "create created add added insert inserted register registered invite invited issue issued "
        "generate generated import imported upload uploaded allocate allocated run",
        "read": "read get got list listed describe described view viewed search searched head lookup download "
        "downloaded export exported query queried fetch fetched watch check checked clone",
        "update": "update updated modify modified change changed set edit edited patch patched put attach attached "
        "detach detached assign assigned unassign unassigned grant granted revoke revoked reset rotate rotated "
        "approve approved reject rejected void voided cancel cancelled refund refunded push merge merged associate "
        "associated disassociate disassociated authorize authorized tag tagged untag untagged "
        "start started stop stopped",
        "delete": "delete deleted remove removed destroy destroyed purge purged erase erased terminate terminated "
        "drop dropped release released deletecollection unregister deregister",
        "move": "move moved rename renamed transfer transferred",
        "enable": "enable enabled activate activated",
        "disable": "disable disabled deactivate deactivated",
        "suspend": "suspend suspended block blocked lock locked",
        "resume": "resume resumed unsuspend unsuspended unblock unblocked unlock unlocked",
        "login": "login logon signin authenticate authenticated",
        "logout": "logout logoff signout",
    }
)
"""The words that tell each verb."""

_IDENTITY = (
    "iam user users role roles group groups policy policies permission permissions member members team teams account "
    "accounts tenant tenants organization organizations org membership serviceaccounts rolebindings clusterroles "
    "clusterrolebindings"
)
IDENTITY_WORDS = frozenset(_IDENTITY.split())
"""Words of actions that manage who may do what."""

_VERB_OF: Mapping[str, Verb] = MappingProxyType({word: verb for verb, words in VERBS.items() for word in words.split()})


def words_of(action: str) -> list[str]:
    """Return the words of an action.

    >>> words_of("iam.create_user")
    ['iam', 'create', 'user']
    """
    return action.replace(".", "_").split("_")


def verb_of(action: str) -> Verb:
    """Return what an action does: the first word of its last segment that the table knows, else `other`.

    >>> verb_of("payment.voided"), verb_of("ec2.batch_get_images"), verb_of("capability_denied")
    ('update', 'read', 'other')
    """
    words = words_of(action.rpartition(".")[2])
    return next((_VERB_OF[word] for word in words if word in _VERB_OF), "other")


def is_about_identity(event: AuditEvent) -> bool:
    """Tell whether the action manages users, roles, groups, policies or tenants."""
    return not IDENTITY_WORDS.isdisjoint(words_of(event.action))
