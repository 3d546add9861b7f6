"""Proofs out of kept subtrees are the proofs over all leaves, however the log grew and whatever is missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.integrity import (
    CompactRange,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    leaf_hash,
)
from tenaudit.audit.integrity.subtrees import span_roots
from tests.unit.audit.test_subtrees import answered

LIMIT = 1400
LEAVES = [leaf_hash(str(number).encode()) for number in range(LIMIT)]
sizes = st.integers(1, LIMIT)


def stored_after(batches):
    tree, kept, size = CompactRange(), [], sum(batches)
    for batch in batches:
        tree, completed = tree.grown(LEAVES[tree.size : tree.size + batch])
        kept += completed
    assert tree == CompactRange().extend(LEAVES[:size])
    return {(0, place): LEAVES[place] for place in range(size)} | {(one.level, one.place): one.root for one in kept}


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6).filter(lambda batches: sum(batches) <= LIMIT), st.data())
def test_proofs_out_of_subtrees_are_those_over_leaves(batches, data):
    stored, size = stored_after(batches), sum(batches)
    kept = [key for key in stored if key[0]]
    for key in data.draw(st.sets(st.sampled_from(kept)) if kept else st.just(set()), label="missing"):
        del stored[key]
    index, first = data.draw(st.integers(0, size - 1), label="index"), data.draw(st.integers(0, size), label="first")
    for spans, proof in (
        (inclusion_spans(index, size), inclusion_proof(LEAVES, index, size)),
        (consistency_spans(first, size), consistency_proof(LEAVES, first, size)),
    ):
        roots, _ = answered(span_roots(spans), stored)
        assert tuple(roots[span] for span in spans) == proof
