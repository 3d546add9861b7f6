"""Merkle proofs: known proofs of the 8-leaf tree of Certificate Transparency, and where the edges lie."""

from __future__ import annotations

import pytest

from tenaudit.audit.integrity import (
    EMPTY_ROOT,
    MerkleError,
    consistency_proof,
    inclusion_proof,
    inclusion_spans,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
H0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
H1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
H01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
H45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
H67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
H0123 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
H4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"

INCLUSION = [
    (0, 1, []),
    (0, 8, [H1, H23, H4567]),
    (5, 8, [H4, H67, H0123]),
    (2, 3, [H01]),
    (1, 5, [H0, H23, H4]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [H1, H23, H4567]),
    (6, 8, [H45, H67, H0123]),
    (2, 5, [H23, H4]),
]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_known_inclusion_proofs(index, size, proof):
    found = inclusion_proof(HASHES, index, size)
    assert [each.hex() for each in found] == proof
    assert verify_inclusion(HASHES[index], index, size, found, root_of(HASHES[:size]))


@pytest.mark.parametrize(("first", "second", "proof"), CONSISTENCY)
def test_known_consistency_proofs(first, second, proof):
    found = consistency_proof(HASHES, first, second)
    assert [each.hex() for each in found] == proof
    assert verify_consistency(first, second, found, root_of(HASHES[:first]), root_of(HASHES[:second]))


def test_a_reader_function_is_asked_for_ranges():
    asked = []

    def read(start, end):
        asked.append((start, end))
        return iter(HASHES[start:end])

    assert inclusion_proof(read, 5, 8) == inclusion_proof(HASHES, 5, 8)
    assert asked == inclusion_spans(5, 8) == [(4, 5), (6, 8), (0, 4)]


def test_everything_extends_the_empty_tree():
    root = root_of(HASHES)
    assert consistency_proof(HASHES, 0, 8) == ()
    assert verify_consistency(0, 8, (), EMPTY_ROOT, root)
    assert verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)
    assert not verify_consistency(0, 8, (), root, root)
    assert not verify_consistency(0, 8, (root,), EMPTY_ROOT, root)
    assert not verify_consistency(0, 0, (), root, root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 4), (4, 4), (0, 9), (3, 9)])
def test_proofs_outside_the_tree_are_refused(index, size):
    with pytest.raises(MerkleError):
        inclusion_proof(HASHES, index, size)


@pytest.mark.parametrize(("first", "second"), [(-1, 4), (5, 4), (3, 9)])
def test_consistency_outside_the_tree_is_refused(first, second):
    with pytest.raises(MerkleError):
        consistency_proof(HASHES, first, second)


def test_a_reader_that_gives_too_much_is_refused():
    with pytest.raises(MerkleError, match=r"the range 0\.\.4 gave 5"):
        inclusion_proof(lambda start, end: HASHES if start == 0 else HASHES[start:end], 5, 8)


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [(-1, 1, ()), (1, 1, ()), (0, 0, ()), (0, 2, ()), (0, 1, (HASHES[1],)), (0, 2, (b"short",)), (0, 2**70, ())],
)
def test_malformed_inclusion_is_false_not_an_error(index, size, proof):
    assert not verify_inclusion(HASHES[0], index, size, proof, HASHES[0])


@pytest.mark.parametrize(
    ("first", "second", "proof"),
    [
        (-1, 1, ()),
        (2, 1, ()),
        (1, 2, ()),
        (3, 4, ()),
        (1, 1, (HASHES[1],)),
        (1, 2, (b"short",)),
        (3, 2**70, (HASHES[0],)),
    ],
)
def test_malformed_consistency_is_false_not_an_error(first, second, proof):
    assert not verify_consistency(first, second, proof, HASHES[0], HASHES[0])
