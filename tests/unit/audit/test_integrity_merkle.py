"""Merkle trees: the known 8-leaf tree of Certificate Transparency, and restoring a frontier."""

from __future__ import annotations

import hashlib

import pytest

from tenaudit.audit.integrity import EMPTY_ROOT, CompactRange, MerkleError, leaf_hash, node_hash, root_of

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize(("size", "root"), list(enumerate(ROOTS)))
def test_roots_of_the_known_tree(size, root):
    assert root_of(HASHES[:size]).hex() == root


def test_domain_separation_of_leaf_and_node():
    left, right = HASHES[0], HASHES[1]
    assert leaf_hash(left + right) == hashlib.sha256(b"\x00" + left + right).digest()
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


def test_appending_leaves_the_shorter_tree_as_it_was():
    tree = CompactRange().extend(HASHES[:3])
    longer = tree.append(HASHES[3])
    assert (tree.size, tree.root().hex()) == (3, ROOTS[3])
    assert (longer.size, longer.root().hex()) == (4, ROOTS[4])


def test_hashes_are_subtree_roots_largest_first():
    tree = CompactRange().extend(HASHES[:7])
    assert [each.hex() for each in tree.hashes] == [
        ROOTS[4],
        node_hash(HASHES[4], HASHES[5]).hex(),
        HASHES[6].hex(),
    ]


def test_empty_tree():
    assert CompactRange().root() == EMPTY_ROOT
    assert CompactRange(0, ()) == CompactRange()


@pytest.mark.parametrize(
    ("size", "hashes"), [(-1, ()), (1, ()), (2, HASHES[:2]), (3, HASHES[:1]), (1, [b"short"]), (1, ["x" * 32])]
)
def test_a_frontier_that_does_not_fit_is_refused(size, hashes):
    with pytest.raises(MerkleError):
        CompactRange(size, hashes)


def test_a_leaf_that_is_no_hash_is_refused_and_nothing_is_lost():
    tree = CompactRange().append(HASHES[0])
    with pytest.raises(MerkleError, match="leaf: a hash is 32 bytes"):
        tree.extend([HASHES[1], b"no hash"])
    assert tree.root().hex() == ROOTS[1]
