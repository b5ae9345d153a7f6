"""The tree against published figures, and against RFC 6962's recursive definitions written down once more."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.ledger.merkle import (
    EMPTY_ROOT,
    CompactRange,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from repository.ledger.tree import MemoryNodes, append, consistency_proof, inclusion_proof, load, root_at

# The reference tree of Certificate Transparency (google/certificate-transparency, merkletree test data).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
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

sizes = st.integers(1, 600)


def _hashes(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def _tree(size: int) -> MemoryNodes:
    store = MemoryNodes()
    append(store, CompactRange(), _hashes(size))
    return store


def _mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, MTH, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = _half(len(leaves))
    return hashlib.sha256(b"\x01" + _mth(leaves[:half]) + _mth(leaves[half:])).digest()


def _half(size: int) -> int:
    half = 1
    while half * 2 < size:
        half *= 2
    return half


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1, PATH."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*_path(index, leaves[:half]), _mth(leaves[half:])]
    return [*_path(index - half, leaves[half:]), _mth(leaves[:half])]


def _subproof(size: int, leaves: list[bytes], *, complete: bool) -> list[bytes]:
    """RFC 6962 section 2.1.2, SUBPROOF."""
    if size == len(leaves):
        return [] if complete else [_mth(leaves)]
    half = _half(len(leaves))
    if size <= half:
        return [*_subproof(size, leaves[:half], complete=complete), _mth(leaves[half:])]
    return [*_subproof(size - half, leaves[half:], complete=False), _mth(leaves[:half])]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_tree(size: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    assert root_of(hashes[:size]).hex() == ROOTS[size]


def test_a_proof_is_that_of_rfc_6962_section_2_1_3() -> None:
    """The tree of seven leaves that the RFC draws: PATH(0) = [b, h, l], PATH(3) = [c, g, l], PATH(6) = [i, k]."""
    a, b, c, d, e, f, j = hashes = _hashes(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, store = node_hash(g, h), _tree(7)
    right = node_hash(i, j)
    assert inclusion_proof(store, 0, size=7) == [b, h, right]
    assert inclusion_proof(store, 3, size=7) == [c, g, right]
    assert inclusion_proof(store, 4, size=7) == [f, j, k]
    assert inclusion_proof(store, 6, size=7) == [i, k]
    assert consistency_proof(store, 3, new_size=7) == [c, d, g, right]
    assert consistency_proof(store, 4, new_size=7) == [right]
    assert consistency_proof(store, 6, new_size=7) == [i, j, k]
    assert root_of(hashes) == node_hash(k, right)


@given(sizes, st.data())
def test_the_tree_and_its_proofs_are_those_of_the_definitions(size: int, data: st.DataObject) -> None:
    hashes, store = _hashes(size), _tree(size)
    seen = data.draw(st.integers(1, size), label="size of the tree that is asked about")
    index = data.draw(st.integers(0, seen - 1), label="index")
    old = data.draw(st.integers(1, seen), label="old size")
    assert root_at(store, seen) == load(store, seen).root() == _mth(hashes[:seen])
    assert inclusion_proof(store, index, size=seen) == _path(index, hashes[:seen])
    assert consistency_proof(store, old, new_size=seen) == _subproof(old, hashes[:seen], complete=True)


@given(sizes, st.data())
def test_a_true_proof_holds_and_an_altered_one_does_not(size: int, data: st.DataObject) -> None:
    hashes, store = _hashes(size), _tree(size)
    index = data.draw(st.integers(0, size - 1), label="index")
    proof, root = inclusion_proof(store, index, size=size), root_of(hashes)
    assert verify_inclusion(hashes[index], proof, index=index, size=size, root=root)
    other = data.draw(st.integers(0, size - 1).filter(lambda other: size == 1 or other != index), label="other")
    if size > 1:
        assert not verify_inclusion(hashes[index], proof, index=other, size=size, root=root)
        assert not verify_inclusion(hashes[other], proof, index=index, size=size, root=root)
        changed = [*proof]
        at = data.draw(st.integers(0, len(proof) - 1), label="altered hash")
        changed[at] = leaf_hash(changed[at])
        assert not verify_inclusion(hashes[index], changed, index=index, size=size, root=root)
        assert not verify_inclusion(hashes[index], proof[:-1], index=index, size=size, root=root)
    assert not verify_inclusion(hashes[index], [*proof, root], index=index, size=size, root=root)
    assert not verify_inclusion(hashes[index], proof, index=index, size=size, root=leaf_hash(root))


@given(sizes, st.data())
def test_a_tree_that_continues_another_is_told_from_one_that_does_not(size: int, data: st.DataObject) -> None:
    hashes, store = _hashes(size), _tree(size)
    old = data.draw(st.integers(1, size), label="old size")
    proof, old_root, root = consistency_proof(store, old, new_size=size), root_at(store, old), root_of(hashes)
    assert verify_consistency(old_root, root, old_size=old, new_size=size, proof=proof)
    rewritten = [*hashes]
    rewritten[data.draw(st.integers(0, old - 1), label="changed entry")] = leaf_hash(b"another")
    forged = MemoryNodes()
    append(forged, CompactRange(), rewritten)
    forged_proof = consistency_proof(forged, old, new_size=size)
    assert not verify_consistency(old_root, root_of(rewritten), old_size=old, new_size=size, proof=forged_proof)
    assert not verify_consistency(old_root, root, old_size=old, new_size=size, proof=[*proof, root])
    if proof:
        assert not verify_consistency(old_root, root, old_size=old, new_size=size, proof=proof[:-1])


def test_what_cannot_be_a_proof_is_refused() -> None:
    hashes = _hashes(3)
    root = root_of(hashes)
    assert not verify_inclusion(hashes[0], [], index=0, size=0, root=EMPTY_ROOT)
    assert not verify_inclusion(hashes[0], [], index=-1, size=3, root=root)
    assert not verify_inclusion(hashes[0], [b"short"], index=0, size=2, root=root)
    assert not verify_consistency(root, root, old_size=4, new_size=3, proof=[])
    assert not verify_consistency(root, root, old_size=2, new_size=3, proof=[b"short"])
    assert not verify_consistency(root, root, old_size=3, new_size=4, proof=[])
    assert not verify_consistency(root, hashes[0], old_size=3, new_size=3, proof=[])


def test_a_proof_that_stops_below_the_root_is_refused() -> None:
    """As if the root of a subtree were that of the tree: the sizes say that it cannot be."""
    hashes = _hashes(4)
    half = node_hash(hashes[0], hashes[1])
    assert verify_inclusion(hashes[0], hashes[1:2], index=0, size=2, root=half)
    assert not verify_inclusion(hashes[0], hashes[1:2], index=0, size=4, root=half)
    assert not verify_consistency(half, half, old_size=2, new_size=4, proof=[])


def test_every_tree_continues_the_empty_one() -> None:
    store = _tree(3)
    assert consistency_proof(store, 0, new_size=3) == []
    assert verify_consistency(EMPTY_ROOT, root_at(store, 3), old_size=0, new_size=3, proof=[])
    assert not verify_consistency(leaf_hash(b""), root_at(store, 3), old_size=0, new_size=3, proof=[])
    assert root_at(store, 0) == EMPTY_ROOT


@given(st.integers(0, 300))
def test_a_compact_range_survives_being_stored(size: int) -> None:
    tree = CompactRange()
    for leaf in _hashes(size):
        tree.append(leaf)
    again = CompactRange.from_bytes(tree.to_bytes())
    for each in (tree, again):
        each.append(leaf_hash(b"next"))
    assert (
        (again.size, again.root())
        == (tree.size, tree.root())
        == (size + 1, _mth([*_hashes(size), leaf_hash(b"next")]))
    )


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(7) + b"\x01", bytes(7) + b"\x01" + bytes(31), bytes(40)])
def test_a_state_that_was_cut_or_altered_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be the state"):
        CompactRange.from_bytes(data)
