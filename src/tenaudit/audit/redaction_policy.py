"""Which fields are redacted, of every tenant and of some more, when an event is written and when it is read.

Rules of this file
1. A tenant's rules add to those of all; nothing takes a rule away.
2. What an event is known and ordered by cannot be redacted, so every event stays one that a store takes.
3. Redacting never fails halfway: an error leaves the event unmade, and its producer counts it as dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, get_args
from uuid import UUID

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import unchecked_event
from tenaudit.audit.redaction import MASK, MAX_TAGS
from tenaudit.audit.redaction_detectors import DETECTORS, mask_detected
from tenaudit.audit.redaction_file import environment_rules, file_rules
from tenaudit.audit.redaction_rules import OPEN_FIELDS, RedactionMode, RedactionRules, checked_redactor
from tenaudit.errors.instruments import counter, gauge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from os import PathLike

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.redaction import RedactionRule, Redactor
    from tenaudit.audit.redaction_detectors import Detector

__all__ = ["RedactionMode", "RedactionPolicy", "check_redaction"]


class RedactionPolicy:
    """The redaction rules of a platform, for its producers and its readers.

    As a `redactor` of the audit routes it hides fields from readers; as the `redaction` of a producer or an outbox it
    keeps values from being stored at all. `audit_events_redacted_total{layer,action}` counts events, and
    `audit_last_redaction_timestamp_seconds` tells when the last one was.

    Args:
        rules: for every tenant; a bare path is masked.
        tenants: further rules of single tenants.
        detect: also mask what gives itself away in a text of the payload, wherever it stands: `card`, `iban`, `email`,
            `jwt` or `key` (of well-known services); they cost a look at each text.
        mode: `enforce`; `log` counts what would be redacted and leaves it as it is; `off` does neither.
        key: secret of the action `hash`, not empty.
        registry: where the metrics live; None is prometheus-client's default.
        clock: tells the time of the last redaction.

    Raises:
        ConfigurationError: a path that does not follow the grammar or begins with what cannot be redacted, an unknown
            action or mode, `hash` without a key, or a tenant that is no UUID; it names the rule.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.audit import RedactionRule
        >>> policy = RedactionPolicy(
        ...     ["payload.card.number", RedactionRule("payload.**.ssn", "remove")], registry=CollectorRegistry())
        >>> record, tags = policy({"payload": {"card": {"number": "4111111111111111"}}})
        >>> record, tags
        ({'payload': {'card': {'number': '****1111'}}}, ('payload.card.number:mask',))
    """

    def __init__(
        self,
        rules: Sequence[str | RedactionRule] = (),
        *,
        tenants: Mapping[UUID, Sequence[str | RedactionRule]] | None = None,
        detect: Collection[Detector] = (),
        mode: RedactionMode = "enforce",
        key: bytes | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> None:
        if mode not in get_args(RedactionMode):
            raise ConfigurationError(f"mode must be one of {', '.join(get_args(RedactionMode))}, not {mode!r}")
        if isinstance(detect, str) or not all(one in DETECTORS for one in detect):
            raise ConfigurationError(f"detect must name some of {', '.join(DETECTORS)}, not {detect!r}")
        self.mode: RedactionMode = mode
        self._detect = tuple(detect)
        self._clock = clock or SystemClock()
        self._of_all = checked_redactor("rules", rules, key)
        self._of_tenant: dict[str, Redactor] = {}
        for tenant, more in (tenants or {}).items():
            if not isinstance(tenant, UUID):
                raise ConfigurationError(f"tenants: {tenant!r} is no UUID")
            checked_redactor(f"tenants.{tenant}", more, key)
            self._of_tenant[str(tenant)] = checked_redactor("rules", [*rules, *more], key)
        self._redacted = counter(
            registry, "audit_events_redacted_total", "Events with a redacted field, by layer.", ("layer", "action")
        )
        self._last = gauge(
            registry,
            "audit_last_redaction_timestamp_seconds",
            "When a field was last redacted, in Unix seconds.",
            across_processes="max",
        )

    @classmethod
    def from_rules(
        cls, rules: RedactionRules, *, registry: CollectorRegistry | None = None, clock: Clock | None = None
    ) -> Self:
        """Make the policy of rules that are plain values; the mode is `enforce` where they tell none.

        Raises:
            ConfigurationError: as for the class.
        """
        return cls(
            rules.rules,
            tenants=rules.tenants,
            detect=rules.detect,
            mode=rules.mode or "enforce",
            key=rules.key,
            registry=registry,
            clock=clock,
        )

    @classmethod
    def from_toml(
        cls,
        path: str | PathLike[str],
        *,
        environ: Mapping[str, str] | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make the policy of a file's table `[redaction]`; `tenaudit.audit.redaction_file` tells its keys.

        Args:
            path: the file, read once.
            environ: where the variable of `hash_key_env` is; None is the environment of the process.
            registry: as for the class.
            clock: as for the class.

        Raises:
            ConfigurationError: it cannot be read or breaks a rule; the message names the file, the line and the key.
        """
        return cls.from_rules(file_rules(path, environ), registry=registry, clock=clock)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make the policy of `AUDIT_REDACT_FIELDS` and `AUDIT_REDACT_MODE`, one without rules where neither is set.

        Args:
            environ: None is the environment of the process.
            registry: as for the class.
            clock: as for the class.

        Raises:
            ConfigurationError: a path or the mode is wrong; the message names the variable.
        """
        return cls.from_rules(environment_rules(environ), registry=registry, clock=clock)

    def __call__(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the wire form of an event as a reader may see it, and the tags that name what was hidden."""
        return _shown(record, *self._apply(_tenant_text(record.get("tenant_id")), record, "read"))

    def written(self, event: AuditEvent) -> AuditEvent:
        """Return the event as it may be stored; its `redactions` name what was taken from it."""
        return self._event(event, "write")

    def shown(self, event: AuditEvent) -> AuditEvent:
        """Return the event as a reader may see it, whole in its form; its `redactions` name what was hidden."""
        return self._event(event, "read")

    def _event(self, event: AuditEvent, layer: str) -> AuditEvent:
        fields = vars(event)
        redacted, tags = self._apply(str(event.tenant_id), fields, layer)
        if not tags:
            return event
        changed = {name: redacted.get(name) for name in OPEN_FIELDS}
        # These two are never null, and a payload is an object.
        if changed["actor_type"] is None:
            changed["actor_type"] = MASK
        if not isinstance(changed["payload"], dict):
            changed["payload"] = {}
        return unchecked_event(fields | changed | {"redactions": (*event.redactions, *tags)})

    def reached_fields(self, tenant_id: UUID) -> frozenset[str]:
        """Return the fields that a reader of the tenant may see otherwise than they are stored."""
        if self.mode != "enforce":
            return frozenset()
        reached = self._of_tenant.get(str(tenant_id), self._of_all).reached_fields(tenant_id) & set(OPEN_FIELDS)
        return reached | {"payload"} if self._detect else reached

    def peek(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a call does, for a look at an event that nobody may get to see; no metric counts it."""
        if self.mode != "enforce":
            return dict(record), ()
        return _shown(record, *self._redacted_fields(_tenant_text(record.get("tenant_id")), record))

    def _apply(self, tenant: str, fields: Mapping[str, Any], layer: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        if self.mode == "off":
            return {}, ()
        redacted, tags = self._redacted_fields(tenant, fields)
        if tags:
            for action in {tag.rpartition(":")[2] for tag in tags}:
                self._redacted.labels(layer, action).inc()
            self._last.set(self._clock.time_ns() / 1e9)
        return (redacted, tags) if self.mode == "enforce" else ({}, ())

    def _redacted_fields(self, tenant: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        redactor = self._of_tenant.get(tenant, self._of_all)
        redacted, tags = redactor({name: fields[name] for name in OPEN_FIELDS if name in fields})
        if self._detect and "payload" in redacted:
            redacted["payload"], places = mask_detected(redacted["payload"], self._detect, "payload")
            tags = _more_tags(tags, places)
        return redacted, tags


def _shown(
    record: Mapping[str, Any], redacted: Mapping[str, Any], tags: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    if not tags:
        return dict(record), ()
    kept = {name: value for name, value in record.items() if name not in OPEN_FIELDS or name in redacted}
    return {**kept, **redacted}, tags


def _tenant_text(tenant_id: object) -> str:
    try:
        return str(UUID(str(tenant_id)))
    except ValueError:
        return ""


def check_redaction(redaction: object) -> None:
    """Refuse what is given as the redaction of whatever writes events and is no policy.

    Raises:
        ConfigurationError: as above.
    """
    if redaction is not None and not isinstance(redaction, RedactionPolicy):
        raise ConfigurationError("redaction must be a RedactionPolicy; a Redactor is for readers alone")


def _more_tags(tags: tuple[str, ...], places: set[str]) -> tuple[str, ...]:
    more = {f"{place}:mask" for place in places}.difference(tags)
    room = max(0, MAX_TAGS - len(tags))
    kept = sorted(more)[:room]
    return tuple(sorted({*tags, *kept, *(["+more:mask"] if len(more) > room else [])}))
