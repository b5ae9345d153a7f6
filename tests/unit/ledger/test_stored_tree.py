"""What the tree asks of its store: little to write, few reads for a proof, and never a node twice."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.ledger.merkle import CompactRange, leaf_hash, root_of, verify_inclusion
from repository.ledger.tree import (
    LEVEL_STEP,
    MemoryNodes,
    append,
    consistency_proof,
    inclusion_proof,
    load,
    root_at,
)

SIZE = 40_000


class CountedNodes(MemoryNodes):
    """Counts what is read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.nodes_read = self.nodes_written = 0

    def read(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        assert level % LEVEL_STEP == 0
        assert stop - start <= 8
        self.reads += 1
        self.nodes_read += stop - start
        return super().read(level, start, stop)

    def write(self, level: int, start: int, hashes: Sequence[bytes]) -> None:
        assert level % LEVEL_STEP == 0
        self.nodes_written += len(hashes)
        super().write(level, start, hashes)


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(SIZE)]


@pytest.fixture(scope="module")
def nodes(leaves: list[bytes]) -> CountedNodes:
    store = CountedNodes()
    append(store, CompactRange(), leaves)
    return store


def test_the_nodes_take_seven_percent_more_than_the_leaves(nodes: CountedNodes) -> None:
    assert SIZE < nodes.nodes_written < 1.07 * SIZE


@pytest.mark.parametrize("index", [0, 1, 32_767, 32_768, SIZE - 1])
def test_a_proof_reads_a_few_nodes_for_each_level(nodes: CountedNodes, leaves: list[bytes], index: int) -> None:
    nodes.reads = nodes.nodes_read = 0
    proof = inclusion_proof(nodes, index, size=SIZE)
    levels = SIZE.bit_length()
    assert len(proof) <= levels
    assert nodes.reads <= 2 * levels
    assert nodes.nodes_read <= 8 * levels
    assert verify_inclusion(leaves[index], proof, index=index, size=SIZE, root=root_of(leaves))


@given(st.lists(st.integers(0, 40), max_size=12))
def test_appending_in_pieces_is_appending_at_once(pieces: list[int]) -> None:
    store, tree, size = MemoryNodes(), CompactRange(), 0
    for piece in pieces:
        append(store, tree, [leaf_hash(b"%d" % number) for number in range(size, size + piece)])
        tree = CompactRange.from_bytes(tree.to_bytes())
        size += piece
    at_once = root_of(leaf_hash(b"%d" % number) for number in range(size))
    assert tree.root() == root_at(store, size) == load(store, size).root() == at_once


def test_a_second_writer_cannot_make_a_second_history() -> None:
    store = MemoryNodes()
    append(store, CompactRange(), [leaf_hash(b"one")])
    with pytest.raises(ValueError, match="not the next"):
        append(store, CompactRange(), [leaf_hash(b"another one")])


def test_a_lost_node_makes_no_proof(nodes: CountedNodes) -> None:
    with pytest.raises(LookupError, match="never written"):
        root_at(nodes, SIZE + 1)


def test_what_is_not_in_the_tree_has_no_proof(nodes: CountedNodes) -> None:
    for index in (-1, SIZE):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_proof(nodes, index, size=SIZE)
    for old, new in ((2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="beginning"):
            consistency_proof(nodes, old, new_size=new)
