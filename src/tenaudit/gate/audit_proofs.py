"""`/audit/events/{id}/proof`, `/audit/checkpoint` and `/audit/consistency`: what proves the caller's own log."""

from __future__ import annotations

import logging
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from tenaudit.audit.integrity.checkpoint import MAX_TREE_SIZE
from tenaudit.audit.parameters import read_parameters
from tenaudit.audit.proofs import BrokenProof, NotSealed, ProofError, Proves, UnknownEvent, base64_text
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from tenaudit.gate.audit_reader import AuditReader
    from tenaudit.security import SecurityContext

    Parameters = Iterable[tuple[str, str]]

__all__ = ["CONSISTENCY_PARAMETERS", "PROOF_PARAMETERS", "checkpoint_answer", "consistency_answer", "proof_answer"]

_log = logging.getLogger("tenaudit.gate")
_T = TypeVar("_T")
_DECIMAL = re.compile(r"[1-9][0-9]{0,18}")


def _size(value: str) -> int:
    if _DECIMAL.fullmatch(value) is None or int(value) > MAX_TREE_SIZE:
        raise ValueError(f"must be a whole number from 1 to {MAX_TREE_SIZE}")
    return int(value)


PROOF_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType({"size": ("size", _size)})
"""Those of `GET /audit/events/{id}/proof`."""

CONSISTENCY_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {"first": ("first", _size), "second": ("second", _size)}
)
"""Those of `GET /audit/consistency`."""


async def proof_answer(
    reader: AuditReader, context: SecurityContext, event_id: str, parameters: Parameters
) -> dict[str, Any]:
    """Return the proof that an event of the caller's tenant is in its log, at its newest checkpoint or at `size`.

    Raises:
        ApiError: 400 `invalid_parameter`; 404 `not_found` for an event of another tenant as for none, for a size that
            has no checkpoint, and for a store that cannot prove; 403 `missing_role` for a reader from whom fields are
            hidden; 409 `conflict`; 503 `unavailable`.
    """
    reader.check_hashes(context)
    values = read_parameters(parameters, PROOF_PARAMETERS)
    try:
        wanted = UUID(event_id)
    except ValueError:
        raise _refusal(UnknownEvent("the log has no such event", "event_id")) from None
    proof = await _asked(reader, _proves(reader).prove_event(context.tenant_id, wanted, values.get("size")))
    return {"event_id": str(wanted), **proof.to_json()}


async def checkpoint_answer(reader: AuditReader, context: SecurityContext, parameters: Parameters) -> dict[str, Any]:
    """Return the newest checkpoint of the caller's tenant.

    Raises:
        ApiError: 400 `invalid_parameter`, 404 `not_found` for a store that cannot prove, 409 `conflict`, 503
            `unavailable`.
    """
    read_parameters(parameters, {})
    found = await _asked(reader, _proves(reader).checkpoint(context.tenant_id))
    return {
        "origin": found.origin,
        "size": found.size,
        "root": base64_text(found.root),
        "checkpoint": found.body(),
    }


async def consistency_answer(reader: AuditReader, context: SecurityContext, parameters: Parameters) -> dict[str, Any]:
    """Return the proof that the log of the caller's tenant at `second`, or now, extends what it was at `first`.

    Raises:
        ApiError: 400 `invalid_parameter`; 404 `not_found` for a size that has no checkpoint, and for a store that
            cannot prove; 403 `missing_role` for a reader from whom fields are hidden; 409 `conflict`; 503
            `unavailable`.
    """
    reader.check_hashes(context)
    values = read_parameters(parameters, CONSISTENCY_PARAMETERS)
    first, second = values.get("first"), values.get("second")
    if first is None:
        raise _wrong_first("is required")
    if second is not None and first > second:
        raise _wrong_first("must not be larger than second")
    return (await _asked(reader, _proves(reader).prove_growth(context.tenant_id, first, second))).to_json()


def _proves(reader: AuditReader) -> Proves:
    if not isinstance(reader.store, Proves):
        raise ApiError.not_found("This store cannot prove.")
    return reader.store


async def _asked(reader: AuditReader, answer: Awaitable[_T]) -> _T:
    try:
        return await reader.ask(answer)
    except ApiError as error:
        if isinstance(error.__cause__, BrokenProof):
            # The reader is told no more than of any failure; whoever runs the service has to know.
            _log.error("a log was tampered with; verify the store", extra={"action": "audit_proof_broken"})
        raise
    except ProofError as error:
        raise _refusal(error) from None


def _wrong_first(why: str) -> ApiError:
    named = [{"field": "first", "message": why}]
    return ApiError.bad_request("A query parameter is not valid.", code="invalid_parameter", errors=named)


def _refusal(error: ProofError) -> ApiError:
    why = str(error).removeprefix(f"{error.field}: ")
    named = [{"field": error.field, "reason": error.code, "message": why}]
    if isinstance(error, NotSealed):
        return ApiError(409, "conflict", "No checkpoint covers this yet.", errors=named)
    return ApiError(404, "not_found", "There is no such proof.", errors=named)
