"""The tree as it is stored: which nodes are kept, and proofs that read only a few of them.

Kept are the hashes of leaves, and of every fourth level above them: node `i` of level `l` is the root over the leaves
from `i << l` to `(i + 1) << l`. That is 7 % more than the leaf hashes alone; what lies between is made again from at
most 8 neighbours. A node is written once, when its last leaf comes, and never changes: the store is append-only.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from repository.ledger.merkle import EMPTY_ROOT, CompactRange, left_size, node_hash

LEVEL_STEP = 4
"""Every level whose number divides by this is stored."""


class NodeStore(Protocol):
    """Where hashes of nodes are kept; each level is a list that only grows."""

    def read(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Nodes `start` to `stop` (exclusive) of a stored level, in order, 32 bytes each.

        MUST give exactly `stop - start` nodes or raise. A proof asks for 8 at most, once or twice for each level.
        """
        ...

    def write(self, level: int, start: int, hashes: Sequence[bytes]) -> None:
        """Append nodes to a stored level; `start` is the number of nodes that it has.

        MUST refuse to overwrite: two writers that both append would make two histories.
        """
        ...


class MemoryNodes:
    """Nodes in lists: for tests, and for trees that are made for one answer."""

    def __init__(self) -> None:
        self._levels: dict[int, list[bytes]] = {}

    def read(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """As NodeStore says."""
        nodes = self._levels[level][start:stop]
        if len(nodes) != stop - start:
            raise LookupError(f"the nodes {start} to {stop} of level {level} were never written")
        return nodes

    def write(self, level: int, start: int, hashes: Sequence[bytes]) -> None:
        """As NodeStore says."""
        nodes = self._levels.setdefault(level, [])
        if start != len(nodes):
            raise ValueError(f"level {level} has {len(nodes)} nodes; node {start} is not the next")
        nodes.extend(hashes)


def append(store: NodeStore, tree: CompactRange, leaf_hashes: Iterable[bytes]) -> None:
    """Add leaves to a stored tree and to the compact range that stands for it.

    One call of `write` for each level that gets a node. The caller makes both durable in one transaction.
    """
    size_before = tree.size
    made: dict[int, list[bytes]] = {}
    for leaf in leaf_hashes:
        for level, node in enumerate(tree.append(leaf)):
            if level % LEVEL_STEP == 0:
                made.setdefault(level, []).append(node)
    for level, nodes in made.items():
        store.write(level, size_before >> level, nodes)


def load(store: NodeStore, size: int) -> CompactRange:
    """The compact range of the first `size` leaves."""
    return CompactRange(size, _peaks(store, 0, size))


def root_at(store: NodeStore, size: int) -> bytes:
    """The root that the tree had when it had `size` leaves."""
    return _range_hash(store, 0, size) if size else EMPTY_ROOT


def inclusion_proof(store: NodeStore, index: int, *, size: int) -> list[bytes]:
    """What shows that a leaf stands at `index` in the tree of the first `size` leaves: at most log2(size) + 1 hashes.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    start, stop, path = 0, size, []
    while stop - start > 1:
        middle = start + left_size(stop - start)
        if index < middle:
            path.append(_range_hash(store, middle, stop))
            stop = middle
        else:
            path.append(_range_hash(store, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(store: NodeStore, old_size: int, *, new_size: int) -> list[bytes]:
    """What shows that the tree of `old_size` leaves is the beginning of that of `new_size` leaves.

    Raises:
        ValueError: the old tree is larger than the new one.

    Source: RFC 6962 section 2.1.2 (SUBPROOF), without its recursion.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {old_size} leaves cannot be the beginning of one of {new_size}")
    if old_size in (0, new_size):
        return []
    start, stop, path = 0, new_size, []
    while stop != old_size:
        middle = start + left_size(stop - start)
        if old_size <= middle:
            path.append(_range_hash(store, middle, stop))
            stop = middle
        else:
            path.append(_range_hash(store, start, middle))
            start = middle
    if start:  # else it is the old root itself, which the verifier has
        path.append(_range_hash(store, start, stop))
    return path[::-1]


def _peaks(store: NodeStore, start: int, stop: int) -> Iterator[bytes]:
    """Roots of the perfect subtrees that make up a range whose left end is where such a subtree begins."""
    while start < stop:
        level = (stop - start).bit_length() - 1
        yield _node(store, level, start >> level)
        start += 1 << level


def _range_hash(store: NodeStore, start: int, stop: int) -> bytes:
    """Root over the leaves from `start` to `stop`, a range that the tree itself has as a node."""
    *left, root = _peaks(store, start, stop)
    for peak in reversed(left):
        root = node_hash(peak, root)
    return root


def _node(store: NodeStore, level: int, index: int) -> bytes:
    """One perfect node, made from the stored ones below it where its own level is not stored."""
    missing = level % LEVEL_STEP
    nodes = list(store.read(level - missing, index << missing, (index + 1) << missing))
    while len(nodes) > 1:
        nodes = [node_hash(left, right) for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]
