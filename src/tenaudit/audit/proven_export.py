"""An NDJSON export that proves itself: each line carries its proof, and the last one what was signed.

| line | what it is |
| --- | --- |
| an event | its wire form and one more member, `"tenaudit_proof": {"index", "leaf_hash", "path", "openings"}` |
| one with values that are hidden or erased | the same, with null for each of them, and its hash among the openings |
| one with hidden fields that the leaf has no hash of | the same, and `"redacted": true` in that member |
| one that the signed checkpoint does not cover | its wire form and `"tenaudit_proof": null` |
| the last | `{"tenaudit_export": {"complete", "events", "proofs": {"whole", "order", "tip"}}}` |

Rules of this file: pure; values in, bytes out, and bytes in, values out. What is read is bounded and told by its line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.export import EXPORT_FORMATS, PROOF, TRAILER
from tenaudit.audit.integrity.canonical import MAX_SAFE_INTEGER, CanonicalError
from tenaudit.audit.integrity.exported_leaf import exported_leaf, exported_openings, hidden_where_it_is_committed
from tenaudit.audit.integrity.signed_tip import SignedTip, hash_of, path_of
from tenaudit.audit.proofs import base64_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.proofs import InclusionProof

__all__ = [
    "MAX_END_BYTES",
    "MAX_LINE_BYTES",
    "ExportClaim",
    "ExportFileError",
    "LineProof",
    "parsed_line",
    "proven_end",
    "proven_line",
]

MAX_LINE_BYTES = 2**20
"""The longest line of an event: 64 KiB in the stream, up to six times that as JSON, and its proof."""

MAX_END_BYTES = 4 * 2**20
"""The longest last line: a note has at most a million characters."""

_line = EXPORT_FORMATS["ndjson"].line


class ExportFileError(TenauditError):
    """The file is no export with proofs."""

    code = "invalid_export"


@dataclass(frozen=True, slots=True)
class LineProof:
    """What a line says of its event's place.

    Example:
        >>> LineProof.from_json({"index": 0, "leaf_hash": base64_text(bytes(32)), "path": []}).redacted
        False

    Attributes:
        index: its place in the log.
        leaf: hash that was logged.
        path: hashes from the leaf up to the root of the signed checkpoint.
        redacted: whether fields are hidden, so that the leaf cannot be made of the line.
        openings: what opens commitments of fields, for `exported_leaf`; None without any.
    """

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    redacted: bool = False
    openings: Mapping[str, Mapping[str, str]] | None = None

    @classmethod
    def from_json(cls, found: Any) -> LineProof:
        """Read the member of a line.

        Raises:
            ValueError: it has another form; the message names the part.
        """
        members: dict[str, Any] = found if isinstance(found, dict) else {}
        index, redacted = members.get("index"), members.get("redacted", False)
        if type(index) is not int or index < 0:
            raise ValueError("index: is no whole number")
        if type(redacted) is not bool:
            raise ValueError("redacted: is neither true nor false")
        leaf = hash_of(members.get("leaf_hash"), "leaf_hash")
        openings = members.get("openings")
        if openings is not None and not isinstance(openings, dict):
            raise ValueError("openings: is no object")
        return cls(index, leaf, path_of(members.get("path")), redacted, openings)

    @property
    def hidden(self) -> int:
        """How many values of the event only their hash is told of."""
        told = (self.openings or {}).values()
        return sum(isinstance(opening, dict) and "hash" in opening for opening in told)


@dataclass(frozen=True, slots=True)
class ExportClaim:
    """What the last line of an export says of all of it. Only the tip of it is signed.

    Example:
        >>> ExportClaim(2, True, "asc", SignedTip("", 0, (), "")).events
        2

    Attributes:
        events: how many lines there are.
        whole: whether they are all that the log has up to the signed checkpoint.
        order: `asc` or `desc`, by event id.
        tip: what was signed.
    """

    events: int
    whole: bool
    order: Literal["asc", "desc"]
    tip: SignedTip

    @classmethod
    def from_line(cls, raw: bytes) -> ExportClaim | None:
        """Return the claim of the last line of a file, None for a line that is no export's end.

        Raises:
            ExportFileError: it is the end of an export without proofs, or its form is wrong.
        """
        try:
            found = _parsed(raw)
        except ValueError:
            return None
        end = found.get(TRAILER)
        if found.keys() != {TRAILER} or not isinstance(end, dict) or end.get("complete") is not True:
            return None
        proofs = end.get("proofs")
        if not isinstance(proofs, dict):
            raise ExportFileError("the export has no proofs; make it with tenaudit audit export --proofs")
        events, whole, order, tip = end.get("events"), proofs.get("whole"), proofs.get("order"), proofs.get("tip")
        if type(events) is not int or type(whole) is not bool or order not in ("asc", "desc"):
            raise ExportFileError("the last line: events, whole or order has another form")
        try:
            read = SignedTip.from_json(tip if isinstance(tip, dict) else {})
        except ValueError as error:
            raise ExportFileError(f"the last line: tip: {error}") from None
        return cls(events, whole, cast("Literal['asc', 'desc']", order), read)


def proven_line(event: AuditEvent, proof: InclusionProof | None, shown: AuditEvent) -> tuple[bytes, bool]:
    """Return the line of an event, and whether its content is proven.

    Args:
        event: what was logged.
        proof: that of its place; None when the signed checkpoint does not cover it.
        shown: what the reader may see of it.
    """
    if proof is None:
        return _line({**shown.record(), PROOF: None}), False
    logged = event.record()
    # The tags of what is hidden are the reader's, and not of what was logged.
    seen = {**shown.record(), "redactions": logged["redactions"]}
    record, openings = hidden_where_it_is_committed(logged, seen, proof.openings)
    told = {
        "index": proof.index,
        "leaf_hash": base64_text(proof.leaf),
        "path": [base64_text(one) for one in proof.path],
    }
    opened = exported_openings(openings)
    if _has_leaf(record, opened, proof.leaf):
        return _line({**record, PROOF: {**told, "openings": opened}}), True
    return _line({**shown.record(), PROOF: {**told, "redacted": True}}), False


def _has_leaf(record: Mapping[str, Any], openings: Mapping[str, Mapping[str, str]], leaf: bytes) -> bool:
    try:
        return exported_leaf(record, openings) == leaf
    except CanonicalError:
        return False


def proven_end(claim: ExportClaim) -> bytes:
    """Return the last line."""
    proofs = {"whole": claim.whole, "order": claim.order, "tip": claim.tip.to_json()}
    return _line({TRAILER: {"complete": True, "events": claim.events, "proofs": proofs}})


def parsed_line(raw: bytes, number: int) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        ExportFileError: the line is too long, no JSON object, or names a member twice; it has its number.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise ExportFileError(f"line {number}: is longer than {MAX_LINE_BYTES} bytes")
    try:
        return _parsed(raw)
    except ValueError as error:
        raise ExportFileError(f"line {number}: is no JSON object: {error}") from None


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = _decoder.decode(raw.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg.lower()} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return _object(found)


def _object(found: Any) -> dict[str, Any]:
    if type(found) is dict:
        return found
    raise ValueError("it is another value")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers differ in which of two they take, so one of them would see what nobody has proven (RFC 8259 section 4).
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _integer(text: str) -> int | float:
    # A double with that canonical form, as in the store; and no work that grows with the square of the digits.
    return float(text) if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER else int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_constant=_no_constant)
