"""The hashes of the ledger's Merkle tree, and the checking of proofs: pure functions over bytes.

Source: RFC 6962 section 2.1 for the tree, RFC 9162 sections 2.1.3.2 and 2.1.4.2 for the checking. All hashes are
SHA-256, 32 bytes. Sizes count leaves; an index counts from 0.
"""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
_SIZE_BYTES = 8
EMPTY_ROOT = hashlib.sha256().digest()
"""Root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf. The zero in front keeps a leaf from ever passing for an interior node."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def left_size(size: int) -> int:
    """Leaves below the left child of a tree of `size` leaves (2 or more): the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


class CompactRange:
    """A growing tree, known by the roots of its perfect subtrees only: at most 64 hashes, whatever its size.

    Source: C2SP and Certificate Transparency call it so; there is one such root for each bit set in the size.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)
        if size < 0 or len(self._peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in self._peaks):
            raise ValueError(f"{len(self._peaks)} hashes cannot be the state of a tree of {size} leaves")

    def append(self, leaf: bytes) -> list[bytes]:
        """Add the hash of one leaf; amortised two hashes of work.

        Returns: the nodes that are complete now, from level 0 (the leaf itself) upwards. The one on level `l` is the
            node number `size_before >> l` of its level.
        """
        made, carry, node = [leaf], self.size, leaf
        while carry & 1:
            node = node_hash(self._peaks.pop(), node)
            made.append(node)
            carry >>= 1
        self._peaks.append(node)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Root of the tree as it is now."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        """The state: the size in 8 bytes, big-endian, then the hashes from the largest subtree to the smallest."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> "CompactRange":
        """Read what `to_bytes` gave. Raises ValueError when it cannot be that."""
        if len(data) < _SIZE_BYTES:
            raise ValueError(f"{len(data)} bytes cannot be the state of a tree")
        hashes = data[_SIZE_BYTES:]
        return cls(
            int.from_bytes(data[:_SIZE_BYTES], "big"),
            (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)),
        )


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Root over the hashes of all leaves, in order."""
    tree = CompactRange()
    for leaf in leaf_hashes:
        tree.append(leaf)
    return tree.root()


def verify_inclusion(leaf: bytes, proof: Sequence[bytes], *, index: int, size: int, root: bytes) -> bool:
    """Whether the proof shows that a leaf stands at `index` of the tree with this size and root.

    Args:
        leaf: hash of the leaf.
        proof: hashes from the leaf's sibling up to the child of the root.
        index: of the leaf, from 0.
        size: leaves of the tree.
        root: of the tree, from a checkpoint that is trusted.
    """
    if not 0 <= index < size or any(len(node) != HASH_BYTES for node in proof):
        return False
    at, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    old_root: bytes, new_root: bytes, *, old_size: int, new_size: int, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the old tree is the beginning of the new one: nothing in it was altered.

    An empty tree is the beginning of every tree; RFC 9162 leaves that case out.
    """
    if not 0 <= old_size <= new_size or any(len(node) != HASH_BYTES for node in proof):
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    if old_size == new_size:
        return not proof and old_root == new_root
    nodes = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not nodes:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, node)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
