"""The newest signed checkpoint of a tenant, out of any number of rounds, with its place in the log of all logs."""

from __future__ import annotations

import pytest

from tenaudit.audit.integrity import Checkpoint, RoundError, SignedNote, leaf_hash
from tenaudit.audit.integrity.note_keys import signer_from
from tenaudit.audit.integrity.signed_tip import SignedTip, signed_tip
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tests.unit.audit.exported_trail import KEY, STRANGER, TRUSTED, body_of, rounds_of


@pytest.mark.parametrize("rounds", range(1, 9))
@pytest.mark.parametrize("each", [1, 2, 1100])
def test_it_is_proven_whatever_lies_before_and_behind(rounds, each):
    bodies = [[body_of(OTHER_TENANT, 1 + number * each + nth) for nth in range(each)] for number in range(rounds)]
    mine = [[*several, body_of(TENANT, number)] for number, several in enumerate(bodies, 1)]
    sealed = rounds_of(*mine, [body_of(OTHER_TENANT, 99_999)])
    tip = signed_tip(lambda: sealed, TENANT)
    assert tip.verified_by(TRUSTED).size == rounds
    assert tip.note == sealed[-2].note
    assert SignedTip.from_json(tip.to_json()) == tip
    with pytest.raises(RoundError):
        tip.verified_by(STRANGER)


def test_a_tenant_without_a_checkpoint_has_none():
    sealed = rounds_of([body_of(OTHER_TENANT, 1)])
    assert signed_tip(lambda: sealed, TENANT) is None
    assert signed_tip(list, TENANT) is None


def test_rounds_with_a_gap_are_refused():
    sealed = rounds_of([body_of(TENANT, 1)], [body_of(TENANT, 2)], [body_of(TENANT, 3)])
    with pytest.raises(RoundError, match="begins behind 2 checkpoints, and there are 1"):
        signed_tip(lambda: [sealed[0], sealed[2]], TENANT)


def test_a_checkpoint_of_no_tenant_is_none():
    body = "tenaudit/tenants\n1\n" + body_of(TENANT, 1).split("\n")[2] + "\n"
    (sealed,) = rounds_of([body])
    with pytest.raises(RoundError, match="'tenaudit/tenants' is no tenant's log"):
        SignedTip(body, 0, (), sealed.note).verified_by(TRUSTED)


def test_a_signed_checkpoint_of_another_log_speaks_for_no_tenant():
    body = body_of(TENANT, 1)
    other = Checkpoint("logs.example/other", 1, leaf_hash(body.encode()))
    note = SignedNote(other.body()).signed_by(signer_from(KEY)).format()
    with pytest.raises(RoundError, match=r"speaks of 'logs\.example/other' and not of"):
        SignedTip(body, 0, (), note).verified_by(TRUSTED)


def test_a_note_about_one_tenants_log_speaks_for_no_other():
    (sealed,) = rounds_of([body_of(TENANT, 1)])
    tip = signed_tip(lambda: [sealed], TENANT)
    with pytest.raises(RoundError):
        SignedTip(body_of(OTHER_TENANT, 1), tip.index, tip.path, tip.note).verified_by(TRUSTED)
