"""A log of one tenant, signed, and an export of it with proofs: made of pure parts, to be tampered with."""

from __future__ import annotations

import json

from tenaudit.audit.export_check import ExportCheck, Leniency
from tenaudit.audit.integrity import Checkpoint, CompactRange, RoundError, inclusion_proof, signed_round
from tenaudit.audit.integrity.commitments import openings_of
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
from tenaudit.audit.integrity.signed_tip import signed_tip
from tenaudit.audit.proofs import InclusionProof
from tenaudit.audit.proven_export import ExportClaim, ExportFileError, parsed_line, proven_end, proven_line
from tenaudit.backends.sqlite.rows import SealedRow
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

KEY = new_signer_key("audit.example/prod")
TRUSTED = [verifier_from(verifier_key(KEY))]
STRANGER = [verifier_from(verifier_key(new_signer_key("audit.example/prod")))]


def body_of(tenant, size, root=bytes(32)):
    return Checkpoint(f"tenaudit/tenant/{tenant}", size, root).body()


def rounds_of(*bodies):
    """Return signed rounds, one for each list of checkpoints."""
    tree, rounds = CompactRange(), []
    for several in bodies:
        sealed, tree = signed_round(tree, several, signer_from(KEY))
        rounds.append(sealed)
    return rounds


class Trail:
    """A log of *size* events, *signed* of which the newest checkpoint covers; *personal* is what it can erase."""

    def __init__(self, size, signed, *, events=None, personal=None):
        self.events = events or [an_event(number) for number in range(size)]
        rows = [SealedRow(event, b"k" * 32, personal) for event in self.events]
        self.leaves = [row.leaf for row in rows]
        self.openings = [openings_of(row.parameters["salts"], row.parameters["commitments"]) for row in rows]
        root = CompactRange().extend(self.leaves[:signed]).root()
        self.checkpoint = Checkpoint(f"tenaudit/tenant/{TENANT}", signed, root)
        rounds = rounds_of(
            [body_of(OTHER_TENANT, 3)], [body_of(OTHER_TENANT, 4), self.checkpoint.body()], [body_of(OTHER_TENANT, 9)]
        )
        self.tip = signed_tip(lambda: rounds, TENANT)

    def line(self, index, *, event=None, shown=None):
        proof = None
        if index < self.checkpoint.size:
            path = inclusion_proof(self.leaves, index, self.checkpoint.size)
            proof = InclusionProof(index, self.leaves[index], path, self.checkpoint, self.openings[index])
        event = event or self.events[index]
        return proven_line(event, proof, shown or event)[0]

    def lines(self, *places):
        return [self.line(place) for place in places or range(len(self.events))]

    def end(self, events, *, whole=True, order="asc"):
        return proven_end(ExportClaim(events, whole, order, self.tip))

    def export(self):
        lines = self.lines()
        return [*lines, self.end(len(lines))]


def checked(lines, *, trusted=TRUSTED, leniency=None):
    """Return the report of an export, given by its lines, as the command makes it; or what it is refused with."""
    try:
        claim = ExportClaim.from_line(lines[-1])
        if claim is None:
            return "truncated"
        check = ExportCheck(claim.tip.verified_by(trusted), claim, leniency or Leniency())
        for number, line in enumerate(lines[:-1], 1):
            check.line(number, parsed_line(line, number))
    except (ExportFileError, RoundError) as error:
        return str(error)
    return check.report()


def kinds(report):
    return [(one.kind, one.event_id) for one in report.problems]


def changed(line, **members):
    return json.dumps(json.loads(line) | members).encode() + b"\n"
