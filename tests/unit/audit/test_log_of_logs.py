"""The log of all logs: honest rounds continue each other, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.integrity import Checkpoint, CompactRange, SignedNote, leaf_hash, parse_body
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, LogOfLogs, RoundError, signed_round, tenant_of
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key

KEY = new_signer_key("audit.example/prod")
SIGNER, VERIFIER = signer_from(KEY), verifier_from(verifier_key(KEY))
TENANTS = [UUID(int=0x7B0E4C9E6F0A4D5C8F0E000000000000 + number) for number in range(3)]

PETERS = (
    "tenaudit/tenants\n"
    "1\n"
    "vtkzGKu258/bV0LzGrR0tT3au8SjJrQvfMTe/orBzg0=\n"
    "\n"
    "— PeterNeumann x08gowvBLMvnz1xftBLeHnrzpqY9DMVdRxOkJwepA/2nPNUOizw/gMRX2ATNZTR84fJS/I4lCbBeHrjs+ZfhKAsLVws=\n"
)


def body(tenant, size, root=None):
    return Checkpoint(f"tenaudit/tenant/{tenant}", size, root or leaf_hash(f"{tenant} {size}".encode())).body()


def rounds_of(growths):
    """The rounds of a store, given by how much each tenant grows in each."""
    sizes, tree, rounds = dict.fromkeys(TENANTS, 0), CompactRange(), []
    for growth in growths:
        bodies = []
        for tenant, more in zip(TENANTS, growth, strict=True):
            sizes[tenant] += more
            if more:
                bodies.append(body(tenant, sizes[tenant]))
        made, tree = signed_round(tree, bodies, SIGNER)
        rounds.append(made)
    return rounds, sizes


def taken(rounds):
    logs = LogOfLogs([VERIFIER])
    for one in rounds:
        logs.take(one)
    return logs


GROWTHS = st.lists(st.tuples(*(st.integers(0, 3) for _ in TENANTS)), min_size=1, max_size=8)


@given(GROWTHS)
def test_honest_rounds_are_taken_and_show_how_far_each_log_was_signed(growths):
    rounds, sizes = rounds_of(growths)
    logs = taken(rounds)
    assert logs.size == sum(more > 0 for growth in growths for more in growth)
    last = {tenant: tip.size for tenant, tip in logs.tips.items()}
    assert last == {tenant: size for tenant, size in sizes.items() if size}


@given(GROWTHS, st.data())
def test_a_round_that_is_left_out_doubled_or_swapped_is_noticed_at_the_next_one(growths, data):
    rounds, _ = rounds_of(growths)
    full = [one for one in rounds if one.bodies]
    if len(full) < 2:
        return
    place = data.draw(st.integers(0, len(full) - 2))
    first, second = full[place], full[place + 1]
    way = data.draw(st.sampled_from(["out", "twice", "swapped"]))
    wrong = {"out": [second], "twice": [first, first, second], "swapped": [second, first]}[way]
    with pytest.raises(RoundError, match="begins behind"):
        taken([*full[:place], *wrong, *full[place + 2 :]])


@given(GROWTHS, st.data())
def test_whatever_is_changed_in_a_round_it_is_refused_and_nothing_of_it_counts(growths, data):
    rounds, _ = rounds_of(growths)
    place = data.draw(st.integers(0, len(rounds) - 1))
    one = rounds[place]
    change = data.draw(st.sampled_from(["root", "size", "tenant", "out", "in", "order", "note"]))
    bodies = list(one.bodies)
    if change in ("root", "size", "tenant") and bodies:
        which = data.draw(st.integers(0, len(bodies) - 1))
        was = parse_body(bodies[which])
        other = {
            "root": replace(was, root=leaf_hash(b"another")),
            "size": replace(was, size=was.size + 100),
            "tenant": replace(was, origin=f"tenaudit/tenant/{UUID(int=5)}"),
        }[change]
        bodies[which] = other.body()
    elif change == "out" and bodies:
        bodies.pop(data.draw(st.integers(0, len(bodies) - 1)))
    elif change == "order" and len(bodies) > 1:
        bodies.reverse()
    elif change == "note":
        one = replace(one, note=one.note.replace("tenaudit/tenants", "tenaudit/tenantz"))
    else:
        bodies.append(body(UUID(int=6), 1))
    logs = taken(rounds[:place])
    before = (logs.size, dict(logs.tips))
    with pytest.raises(RoundError):
        logs.take(replace(one, bodies=tuple(bodies)))
    assert (logs.size, logs.tips) == before
    assert [each.body() for each in logs.take(rounds[place])] == list(rounds[place].bodies)


def test_a_signed_round_in_which_a_log_shrinks_names_the_tenant():
    first, tree = signed_round(CompactRange(), [body(TENANTS[0], 5)], SIGNER)
    for bodies in ([body(TENANTS[0], 4)], [body(TENANTS[0], 6), body(TENANTS[0], 6)]):
        second, _ = signed_round(tree, bodies, SIGNER)
        with pytest.raises(RoundError, match=f"tenant {TENANTS[0]} had"):
            taken([first, second])


@pytest.mark.parametrize("origin", [ALL_LOGS, "tenaudit/tenant/x", f"TENAUDIT/tenant/{TENANTS[0]}", str(TENANTS[0])])
def test_what_is_no_tenants_log_is_refused(origin):
    assert tenant_of(origin) is None
    made, _ = signed_round(CompactRange(), [Checkpoint(origin, 1, bytes(32)).body()], SIGNER)
    with pytest.raises(RoundError, match="is no tenant's log"):
        taken([made])


def test_a_note_of_another_key_of_another_log_or_that_is_none_is_refused():
    made, tree = signed_round(CompactRange(), [body(TENANTS[0], 1)], SIGNER)
    other = signer_from(new_signer_key("audit.example/prod"))
    foreign, _ = signed_round(CompactRange(), made.bodies, other)
    elsewhere = SignedNote(Checkpoint("elsewhere", tree.size, tree.root()).body()).signed_by(SIGNER).format()
    for note, why in ((foreign.note, "none is of a trusted key"), (elsewhere, "speaks of other"), ("text", "note")):
        with pytest.raises(RoundError, match=why):
            taken([replace(made, note=note)])
    with pytest.raises(RoundError, match="each a line"):
        taken([replace(made, bodies=("no checkpoint",))])


def test_the_note_is_byte_for_byte_one_that_the_formats_authors_read():
    # Read by github.com/transparency-dev/formats v0.1.1 with golang.org/x/mod v0.43.0; Ed25519 signs alike every time.
    peter = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    made, _ = signed_round(CompactRange(), [body(TENANTS[0], 1, bytes(32))], signer_from(peter))
    assert made.note == PETERS
