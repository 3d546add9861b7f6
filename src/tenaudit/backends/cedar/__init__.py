"""Policies in the Cedar language: rules that look at the resource and the request, validated against a schema.

Namespace `Tenaudit`: the principal is `Actor::"<id>"` with its roles as parents, the action is the capability, the
resource is what the service gives, or `Tenant::"<uuid>"`. `matrix_to_cedar` writes the base schema.
"""

from tenaudit.backends.cedar.engine import CedarEngine
from tenaudit.backends.cedar.explanation import CedarExplanation
from tenaudit.backends.cedar.matrix import matrix_to_cedar
from tenaudit.backends.cedar.statement import CedarPolicy

__all__ = ["CedarEngine", "CedarExplanation", "CedarPolicy", "matrix_to_cedar"]
