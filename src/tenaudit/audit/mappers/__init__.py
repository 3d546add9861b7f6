"""Events in the shapes of other systems: CloudEvents, the Elastic Common Schema, and OCSF."""

from tenaudit.audit.mappers.cloudevents import DATA_SCHEMA, SPEC_VERSION, to_cloudevents
from tenaudit.audit.mappers.ecs import ECS_VERSION, to_ecs
from tenaudit.audit.mappers.ocsf import OCSF_VERSION, to_ocsf

__all__ = [
    "DATA_SCHEMA",
    "ECS_VERSION",
    "OCSF_VERSION",
    "SPEC_VERSION",
    "to_cloudevents",
    "to_ecs",
    "to_ocsf",
]
